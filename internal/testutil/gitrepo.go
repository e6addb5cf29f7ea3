package testutil

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A GitRepo is a real git repository in a temporary folder, on the branch main. It
// fails its test when git does.
type GitRepo struct {
	Dir string
	t   testing.TB
}

// NewRepo makes an empty repository.
func NewRepo(t testing.TB) *GitRepo {
	t.Helper()
	r := &GitRepo{Dir: filepath.Join(t.TempDir(), "upstream"), t: t}
	if err := os.Mkdir(r.Dir, 0o755); err != nil {
		t.Fatal(err)
	}
	r.Git("init", "-q", "-b", "main")
	return r
}

// URL is the repository's address on this machine.
func (r *GitRepo) URL() string { return "file://" + r.Dir }

// Git runs git in the repository and returns what it prints.
func (r *GitRepo) Git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Env = r.Dir, GitEnv()
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// GitEnv is the environment in which git reads nobody's configuration.
func GitEnv() []string {
	return append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null", "LC_ALL=C",
		"GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.org", "GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.org",
		"GIT_CONFIG_COUNT=4", "GIT_CONFIG_KEY_0=gc.auto", "GIT_CONFIG_VALUE_0=0", "GIT_CONFIG_KEY_1=protocol.file.allow", "GIT_CONFIG_VALUE_1=always",
		"GIT_CONFIG_KEY_2=safe.directory", "GIT_CONFIG_VALUE_2=*", "GIT_CONFIG_KEY_3=core.hooksPath", "GIT_CONFIG_VALUE_3=/dev/null")
}

// Commit writes files, by their paths, over what is there, and commits. It returns
// the commit. Files that are the same as before make a commit as well.
func (r *GitRepo) Commit(files map[string]string) string {
	r.t.Helper()
	for name, content := range files {
		r.Write(name, []byte(content), 0o644)
	}
	return r.CommitAll()
}

// CommitDay puts a day's tarball in the place of the one before, and commits.
func (r *GitRepo) CommitDay(day Day) string {
	r.t.Helper()
	r.Write(Tarball, day.Tarball, 0o644)
	return r.CommitAll()
}

// Write writes a file of the working tree.
func (r *GitRepo) Write(name string, content []byte, perm os.FileMode) {
	r.t.Helper()
	path := filepath.Join(r.Dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(path, content, perm); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Chmod(path, perm); err != nil {
		r.t.Fatal(err)
	}
}

// CommitAll commits the working tree as it is.
func (r *GitRepo) CommitAll() string {
	r.t.Helper()
	r.Git("add", "-A")
	r.Git("commit", "-q", "--allow-empty", "-m", "change")
	return r.Head()
}

// Head is the commit of the branch that is checked out.
func (r *GitRepo) Head() string { return r.Git("rev-parse", "HEAD") }

// Rewind moves the branch back by n commits, as a force-push does, and forgets what was cut off.
func (r *GitRepo) Rewind(n string) string {
	r.t.Helper()
	r.Git("reset", "-q", "--hard", "HEAD~"+n)
	r.Forget()
	return r.Head()
}

// Orphan replaces the whole history by one commit of files, as a re-created repository does.
func (r *GitRepo) Orphan(files map[string]string) string {
	r.t.Helper()
	r.Git("checkout", "-q", "--orphan", "again")
	r.Git("rm", "-rfq", "--ignore-unmatch", ".")
	commit := r.Commit(files)
	r.Git("branch", "-M", "again", "main")
	r.Forget()
	return commit
}

// Forget removes what no branch and no tag leads to.
func (r *GitRepo) Forget() {
	r.t.Helper()
	r.Git("reflog", "expire", "--expire=now", "--all")
	r.Git("gc", "-q", "--prune=now")
}
