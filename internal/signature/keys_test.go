package signature

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// command runs a program with input, and returns what it prints.
func command(t *testing.T, env []string, input []byte, argv ...string) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	var out, problems bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.Env = bytes.NewReader(input), &out, &problems, append(testutil.GitEnv(), env...)
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, &problems)
	}
	return out.Bytes()
}

// newSSHKey makes a key pair with ssh-keygen, and returns its file and its public line.
func newSSHKey(t *testing.T, kind string, options ...string) (file, public string) {
	t.Helper()
	file = filepath.Join(t.TempDir(), "key")
	command(t, nil, nil, append([]string{"ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "a comment", "-f", file}, options...)...)
	text, err := os.ReadFile(file + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	return file, strings.TrimSpace(string(text))
}

// gnupg is a home of gpg of its own. Its path is short: a socket is made in it.
type gnupg struct {
	t   *testing.T
	env []string
	dir string
}

func newGnuPG(t *testing.T) gnupg {
	t.Helper()
	dir, err := os.MkdirTemp("", "gpg")
	if err != nil {
		t.Fatal(err)
	}
	g := gnupg{t, []string{"GNUPGHOME=" + dir}, dir}
	t.Cleanup(func() {
		kill := exec.Command("gpgconf", "--kill", "all")
		kill.Env = append(os.Environ(), g.env...)
		if err := kill.Run(); err != nil {
			t.Errorf("end the agent of gpg: %v", err)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return g
}

// run runs gpg without questions.
func (g gnupg) run(input []byte, args ...string) []byte {
	g.t.Helper()
	return command(g.t, g.env, input, append([]string{"gpg", "--batch", "--quiet", "--no-tty", "--pinentry-mode", "loopback", "--passphrase", ""}, args...)...)
}

func (g gnupg) generate(user, kind, expires string, options ...string) {
	g.t.Helper()
	g.run(nil, append(options, "--quick-generate-key", user, kind, "sign", expires)...)
}

func (g gnupg) public(user string) string {
	g.t.Helper()
	return string(g.run(nil, "--armor", "--export", user))
}

func (g gnupg) fingerprint(user string) string {
	g.t.Helper()
	for line := range strings.Lines(string(g.run(nil, "--with-colons", "--list-keys", user))) {
		if rest, ok := strings.CutPrefix(line, "fpr:"); ok {
			return strings.Trim(strings.TrimSpace(rest), ":")
		}
	}
	g.t.Fatalf("%s has no fingerprint", user)
	return ""
}

// commitWith makes a signed commit in a new repository, by git itself.
func commitWith(t *testing.T, env []string, settings ...string) (raw []byte, repo *testutil.GitRepo) {
	t.Helper()
	repo = testutil.NewRepo(t)
	repo.Write("notice.txt", []byte("hello\n"), 0o644)
	repo.Git("add", "-A")
	argv := []string{"git", "-C", repo.Dir}
	for _, s := range settings {
		argv = append(argv, "-c", s)
	}
	command(t, env, nil, append(argv, "commit", "-q", "-S", "-m", "A notice\n\ngpgsig is a word in its message, too\n")...)
	return rawCommit(t, repo), repo
}

func rawCommit(t *testing.T, repo *testutil.GitRepo) []byte {
	t.Helper()
	return command(t, nil, nil, "git", "-C", repo.Dir, "cat-file", "commit", "HEAD")
}

// signedWith puts a signature into a commit, as git does.
func signedWith(payload, armored []byte) []byte {
	end := bytes.Index(payload, []byte("\n\n")) + 1
	text := strings.ReplaceAll(strings.TrimSpace(string(armored)), "\n", "\n ")
	return bytes.Join([][]byte{payload[:end], []byte("gpgsig " + text + "\n"), payload[end:]}, nil)
}

func allow(t *testing.T, text string) Allowed {
	t.Helper()
	a, err := ParseAllowed(text)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// wants fails unless err says what is wanted; "" wants no error.
func wants(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted; want an error with %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("error %q, want %q in it", err, want)
	}
}
