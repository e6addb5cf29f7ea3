package git_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// A copyOf is a fetched tree.
type copyOf struct {
	dir    string
	root   *os.Root
	commit string
	index  *tree.Index
}

// fetchOnto fetches a commit, and builds upon what opts say.
func fetchOnto(t testing.TB, r *git.Remote, commit, have, dir string, opts tree.WriterOptions) (copyOf, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	w := tree.NewWriter(root, opts)
	defer w.Close()
	c := copyOf{dir: dir, root: root, commit: commit}
	if err := r.Fetch(t.Context(), git.Commit(commit), git.Commit(have), w); err != nil {
		return c, err
	}
	c.index, err = w.Finish()
	return c, err
}

func (c copyOf) base(share bool) *tree.Base {
	return &tree.Base{Root: c.root, Index: c.index, Share: share}
}

// wantTree holds a copy against what git checks out.
func wantTree(t *testing.T, repo *testutil.GitRepo, c copyOf) {
	t.Helper()
	if want := repo.Git("rev-parse", c.commit+"^{tree}"); c.index.Root().String() != want {
		t.Errorf("the root is %s; want %s", c.index.Root(), want)
	}
	repo.Git("checkout", "-q", "--detach", c.commit)
	if diff := cmp.Diff(listing(t, repo.Dir), listing(t, c.dir)); diff != "" {
		t.Errorf("the tree differs from git's (-git +ours):\n%s", diff)
	}
	repo.Git("checkout", "-q", "main")
}

// changingRepo has commits in which everything happens that may.
func changingRepo(t testing.TB) (repo *testutil.GitRepo, commits []string) {
	repo = testutil.NewRepo(t)
	commit := func(change func()) {
		change()
		commits = append(commits, repo.CommitAll())
	}
	big := make([]byte, 3<<20)
	for i := range big {
		big[i] = byte(i * i >> 7)
	}
	link := func(name, to string) {
		if err := os.Symlink(to, filepath.Join(repo.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	text := strings.Repeat("a line that stays as it is\n", 100)
	commit(func() {
		for n := range 30 {
			repo.Write(fmt.Sprintf("d%d/e/f%d", n%3, n), fmt.Appendf(nil, "%s%d\n", text, n), 0o644)
		}
		repo.Write("big", big, 0o644)
		repo.Write("again/big", big, 0o755)
		repo.Write("text", []byte(text), 0o644)
		repo.Write("copy", []byte(text), 0o644)
		repo.Write("empty", nil, 0o644)
		link("link", "text")
		link("same", "text")
	})
	commit(func() { // contents, in place
		copy(big[1<<20:], "changed")
		repo.Write("big", big, 0o644)
		repo.Write("d1/e/f1", []byte(text+"changed\n"), 0o644)
	})
	commit(func() { // modes and kinds; what is there goes elsewhere
		repo.Write("text", []byte(text), 0o755)
		repo.Git("mv", "d2", "moved")
		repo.Git("rm", "-q", "link", "copy")
		repo.Write("link/now a folder", []byte("x"), 0o644)
		link("copy", "text")
		repo.Write("points", []byte("text"), 0o644) // what a link's target was, as a file
	})
	commit(func() { repo.Git("rm", "-rq", "d1", "big") })
	commit(func() {}) // nothing
	repo.Git("rm", "-rq", ".")
	commit(func() {}) // everything
	return repo, commits
}

// Whatever lies between two commits, and whichever way it goes: the tree is git's.
func TestUpdatesAreGitsTree(t *testing.T) {
	repo, commits := changingRepo(t)
	repo.Git("config", "uploadpack.allowAnySHA1InWant", "true")
	for name, way := range ways(t, repo) {
		t.Run(name, func(t *testing.T) {
			r := remote(t, way.url, way.opts)
			for _, order := range [][]int{{0, 1, 2, 3, 4, 5, 0}, {2, 0, 3, 1}} {
				before, err := fetchOnto(t, r, commits[order[0]], "", t.TempDir(), tree.WriterOptions{})
				if err != nil {
					t.Fatal(err)
				}
				wantTree(t, repo, before)
				for i, n := range order[1:] {
					base := before.base(i%2 == 0)
					if before, err = fetchOnto(t, r, commits[n], before.commit, t.TempDir(), tree.WriterOptions{Base: base}); err != nil {
						t.Fatalf("commit %d: %v", n, err)
					}
					wantTree(t, repo, before)
				}
			}
		})
	}
}

// A spare is turned into the new tree, with the base beside it.
func TestUpdatesOfASpare(t *testing.T) {
	repo, commits := changingRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	r := remote(t, server.URL+"/upstream", git.Options{})
	get := func(commit string, onto copyOf, dir string, spare *tree.Index) copyOf {
		t.Helper()
		opts := tree.WriterOptions{Spare: spare}
		if onto.index != nil {
			opts.Base = onto.base(true)
		}
		c, err := fetchOnto(t, r, commit, onto.commit, dir, opts)
		if err != nil {
			t.Fatal(err)
		}
		wantTree(t, repo, c)
		return c
	}
	spare := get(commits[0], copyOf{}, t.TempDir(), nil)
	base := get(commits[1], spare, t.TempDir(), nil)
	for _, n := range []int{2, 3, 5, 1} {
		spare, base = base, get(commits[n], base, spare.dir, spare.index)
	}
}

// What a delta is made from is held against its id: else what is made would be
// something else, and its id would be nobody's.
func TestDamagedBaseIsNamed(t *testing.T) {
	repo, commits := changingRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	r := remote(t, server.URL+"/upstream", git.Options{})
	before, err := fetchOnto(t, r, commits[0], "", t.TempDir(), tree.WriterOptions{})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(before.dir, "d1/e/f1")
	content, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	content[0] ^= 1
	if err := errors.Join(os.Chmod(name, 0o644), os.WriteFile(name, content, 0o444)); err != nil {
		t.Fatal(err)
	}
	_, err = fetchOnto(t, r, commits[1], before.commit, t.TempDir(), tree.WriterOptions{Base: before.base(true)})
	var damaged *tree.DamagedError
	if !errors.As(err, &damaged) || damaged.Path != "d1/e/f1" {
		t.Errorf("got %v; want that d1/e/f1 was changed", err)
	}
	var known *git.Error
	if !errors.As(err, &known) || !known.Retry {
		t.Errorf("%v is not to be tried again", err)
	}
}
