package git_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

func TestRefusedContent(t *testing.T) {
	repo := testutil.NewRepo(t)
	link := func(target string) func() {
		return func() {
			if err := os.Symlink(target, filepath.Join(repo.Dir, "link")); err != nil {
				t.Fatal(err)
			}
		}
	}
	for name, c := range map[string]struct {
		make func()
		want string
	}{
		"absolute link": {link("/etc/passwd"), `"link" is a symlink to the absolute path "/etc/passwd"`},
		"link out":      {link("a/../../x"), `"link" is a symlink that leads out of the tree`},
		"lfs": {func() {
			repo.Write("big.bin", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:"+strings.Repeat("0", 64)+"\nsize 5\n"), 0o644)
		}, `"big.bin" is a Git LFS pointer`},
	} {
		t.Run(name, func(t *testing.T) {
			repo.Orphan(map[string]string{"n": name})
			c.make()
			repo.Git("add", "-A")
			repo.Git("commit", "-q", "-m", "bad")
			_, err := fetch(t, remote(t, repo.URL(), git.Options{}), git.Commit(repo.Head()))
			wantError(t, err, git.Content, c.want)
		})
	}
}

// That a link leads out by way of another shows when the tree is whole.
func TestChainOfLinksIsRefused(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Write("d/e/f", nil, 0o644)
	for name, to := range map[string]string{"d/e/up": "../..", "link": "d/e/up/.."} {
		if err := os.Symlink(to, filepath.Join(repo.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := fetch(t, remote(t, repo.URL(), git.Options{}), git.Commit(repo.CommitAll()))
	var entry *tree.EntryError
	if !errors.As(err, &entry) || entry.Name != "link" || !strings.Contains(err.Error(), "leads out of the tree by way of another") {
		t.Errorf("got %v; want that link leads out", err)
	}
}

// blob puts content into the repository's objects.
func blob(r *testutil.GitRepo, content string) string {
	cmd := exec.Command("git", "hash-object", "-w", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, testutil.GitEnv(), strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(out))
}

// Git itself refuses to check such trees out, so they are made by hand.
func TestHostileTrees(t *testing.T) {
	repo := testutil.NewRepo(t)
	file := blob(repo, "x")
	mktree := func(lines string) string {
		t.Helper()
		cmd := exec.Command("git", "mktree", "--missing")
		cmd.Dir, cmd.Env, cmd.Stdin = repo.Dir, testutil.GitEnv(), strings.NewReader(lines)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git mktree: %v: %s", err, out)
		}
		return strings.TrimSpace(string(out))
	}
	bomb := mktree("100644 blob " + file + "\tf\n")
	for range 12 {
		var lines strings.Builder
		for n := range 10 {
			fmt.Fprintf(&lines, "040000 tree %s\td%d\n", bomb, n)
		}
		bomb = mktree(lines.String())
	}
	inner := mktree("100644 blob " + file + "\tconfig\n")
	for name, c := range map[string]struct {
		tree  string
		class git.Class
		want  string
	}{
		"bomb":    {bomb, git.TooLarge, "holds more than 1000 entries"},
		"dot git": {mktree("040000 tree " + inner + "\t.git\n"), git.Content, `".git" is named .git`},
		"dot GIT": {mktree("040000 tree " + inner + "\t.GiT\n"), git.Content, "is named .git"},
		"dot dot": {mktree("040000 tree " + inner + "\t..\n"), git.Content, ""},
		"twice":   {mktree("100644 blob " + file + "\ta\n120000 blob " + file + "\ta\n"), git.Content, `"a" is `},
	} {
		t.Run(name, func(t *testing.T) {
			commit := repo.Git("commit-tree", "-m", "bad", c.tree)
			_, err := fetchWithin(t, remote(t, repo.URL(), git.Options{Limits: tree.Limits{Files: 1000}}), git.Commit(commit), tree.Limits{Files: 1000})
			if name == "dot dot" && err != nil {
				return // refused by whoever reads it first
			}
			wantError(t, err, c.class, c.want)
		})
	}
}

// What is sent, and what it unpacks to, is bounded before it is in memory.
func TestLimits(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Write("zeros", make([]byte, 20<<20), 0o644) // 20 KB of pack
	commit := git.Commit(repo.CommitAll())
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	for _, url := range []string{repo.URL(), server.URL + "/upstream"} {
		_, err := fetchWithin(t, remote(t, url, git.Options{Limits: tree.Limits{Bytes: 1 << 20}}), commit, tree.Limits{Bytes: 1 << 20})
		wantError(t, err, git.TooLarge, "holds more than 1 MiB")
	}
	small := testutil.NewRepo(t)
	for n := range 300 {
		small.Write(fmt.Sprint("f", n), []byte(fmt.Sprint(n)), 0o644)
	}
	commit = git.Commit(small.CommitAll())
	server = testutil.NewGitServer(t, filepath.Dir(small.Dir))
	for _, url := range []string{small.URL(), server.URL + "/upstream"} {
		_, err := fetchWithin(t, remote(t, url, git.Options{Limits: tree.Limits{Files: 50}}), commit, tree.Limits{Files: 50})
		wantError(t, err, git.TooLarge, "holds more than 50 entries")
	}
}
