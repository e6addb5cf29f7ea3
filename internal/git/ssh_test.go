package git_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	"popup/internal/git"
	"popup/internal/testutil"
)

// An sshd is a real SSH server that runs real git.
type sshd struct {
	addr    string
	hostKey string // a known_hosts line
	keyFile string // lets in
}

func (s sshd) url(path string) string { return "ssh://git@" + s.addr + path }

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func sshServer(t *testing.T) sshd {
	t.Helper()
	host, _ := newKey(t)
	user, text := newKey(t)
	config := &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(user.PublicKey().Marshal()) {
			return nil, os.ErrPermission
		}
		return nil, nil
	}}
	config.AddHostKey(host)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var open sync.WaitGroup
	open.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { serveSSH(conn, config) })
		}
	})
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
		open.Wait()
	})
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, text, 0o600); err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	return sshd{addr, knownhosts.Line([]string{addr}, host.PublicKey()), keyFile}
}

// serveSSH runs the commands of one connection, as a login shell would.
func serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	defer conn.Close()
	_, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for c := range channels {
		channel, requests, err := c.Accept()
		if err != nil {
			return
		}
		for r := range requests {
			var payload struct{ Command string }
			if r.Type != "exec" || ssh.Unmarshal(r.Payload, &payload) != nil {
				_ = r.Reply(false, nil)
				continue
			}
			_ = r.Reply(true, nil)
			cmd := exec.Command("sh", "-c", payload.Command)
			cmd.Env, cmd.Stdout, cmd.Stderr = testutil.GitEnv(), channel, channel.Stderr()
			if in, err := cmd.StdinPipe(); err == nil && cmd.Start() == nil {
				go func() { _, _ = io.Copy(in, channel); _ = in.Close() }()
				_ = cmd.Wait()
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{0}))
			_ = channel.Close()
		}
	}
}

func TestSSHTrust(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	s := sshServer(t)
	other, otherText := newKey(t)
	wrongKey := filepath.Join(t.TempDir(), "wrong")
	if err := os.WriteFile(wrongKey, otherText, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := knownhosts.Line([]string{s.addr}, other.PublicKey())
	t.Setenv("HOME", t.TempDir()) // nobody's known hosts
	for name, c := range map[string]struct {
		opts  git.Options
		class git.Class
		want  string
	}{
		"unknown host": {git.Options{CredentialsFile: s.keyFile}, git.HostKey, "is not known; put the line that ssh-keyscan prints"},
		"changed key":  {git.Options{CredentialsFile: s.keyFile, HostKeys: []string{changed}}, git.HostKey, "another host key than the one that is known"},
		"bad pin":      {git.Options{CredentialsFile: s.keyFile, HostKeys: []string{"what is this"}}, git.HostKey, "are not known_hosts lines"},
		"wrong key":    {git.Options{CredentialsFile: wrongKey, HostKeys: []string{s.hostKey}}, git.Credentials, "credentials refused; renew"},
		"no key":       {git.Options{HostKeys: []string{s.hostKey}}, git.Credentials, "name a credentials file with a private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, s.url(repo.Dir), c.opts).Head(t.Context(), "")
			wantError(t, err, c.class, c.want)
		})
	}
	home := t.TempDir()
	t.Setenv("HOME", home)
	if err := os.Mkdir(filepath.Join(home, ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, ".ssh/known_hosts"), []byte(s.hostKey+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote(t, s.url(repo.Dir), git.Options{CredentialsFile: s.keyFile}).Head(t.Context(), ""); err != nil {
		t.Errorf("with the user's known_hosts: %v", err)
	}
}

// The server's shell sees a path as one word, whatever is in it.
func TestSSHPathIsQuoted(t *testing.T) {
	s := sshServer(t)
	witness := filepath.Join(t.TempDir(), "witness")
	_, err := remote(t, "git@127.0.0.1:x", git.Options{}).Head(t.Context(), "")
	if err == nil {
		t.Fatal("port 22 has no such repository")
	}
	url := s.url("/none'$(touch%20" + witness + ")'!")
	_, err = remote(t, url, git.Options{CredentialsFile: s.keyFile, HostKeys: []string{s.hostKey}}).Head(t.Context(), "")
	wantError(t, err, git.NotRepository, "there is no git repository there")
	if _, err := os.Stat(witness); err == nil {
		t.Error("the path ran a command on the server")
	}
	if !strings.Contains(err.Error(), "ssh://127.0.0.1") {
		t.Errorf("the message does not name the server without its user: %v", err)
	}
}
