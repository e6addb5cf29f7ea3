package git_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/knownhosts"
	"popup/internal/git"
	"popup/internal/testutil"
)

func TestSSHTrust(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	s := testutil.NewSSHServer(t)
	other, wrongKey := testutil.NewSSHKey(t)
	changed := knownhosts.Line([]string{s.Address}, other.PublicKey())
	t.Setenv("HOME", t.TempDir()) // nobody's known hosts
	for name, c := range map[string]struct {
		opts  git.Options
		class git.Class
		want  string
	}{
		"unknown host": {git.Options{CredentialsFile: s.KeyFile}, git.HostKey, "is not known; put the line that ssh-keyscan prints"},
		"changed key":  {git.Options{CredentialsFile: s.KeyFile, HostKeys: []string{changed}}, git.HostKey, "another host key than the one that is known"},
		"bad pin":      {git.Options{CredentialsFile: s.KeyFile, HostKeys: []string{"what is this"}}, git.HostKey, "are not known_hosts lines"},
		"wrong key":    {git.Options{CredentialsFile: wrongKey, HostKeys: []string{s.HostKey}}, git.Credentials, "credentials refused; renew"},
		"no key":       {git.Options{HostKeys: []string{s.HostKey}}, git.Credentials, "name a credentials file with a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, s.URL(repo.Dir), c.opts).Head(t.Context(), "")
			wantError(t, err, c.class, c.want)
		})
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh/known_hosts"), []byte(s.HostKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote(t, s.URL(repo.Dir), git.Options{CredentialsFile: s.KeyFile}).Head(t.Context(), ""); err != nil {
		t.Errorf("with the user's known_hosts: %v", err)
	}
}

// The server's shell sees a path as one word, whatever is in it.
func TestSSHPathIsQuoted(t *testing.T) {
	s := testutil.NewSSHServer(t)
	witness := filepath.Join(t.TempDir(), "witness")
	_, err := remote(t, "git@127.0.0.1:x", git.Options{}).Head(t.Context(), "")
	if err == nil {
		t.Fatal("port 22 has no such repository")
	}
	url := s.URL("/none'$(touch%20" + witness + ")'!")
	_, err = remote(t, url, git.Options{CredentialsFile: s.KeyFile, HostKeys: []string{s.HostKey}}).Head(t.Context(), "")
	wantError(t, err, git.NotRepository, "there is no git repository there")
	if _, err := os.Stat(witness); err == nil {
		t.Error("the path ran a command on the server")
	}
	if !strings.Contains(err.Error(), "ssh://127.0.0.1") {
		t.Errorf("the message does not name the server without its user: %v", err)
	}
}
