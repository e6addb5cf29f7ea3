package git

import (
	"errors"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	gogit "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
	"popup/internal/testutil"
	"popup/internal/tree"
)

// objectsOf are the objects of a repository, in an order that never is the same.
func objectsOf(t *testing.T, repo *testutil.GitRepo) []plumbing.Hash {
	t.Helper()
	r, err := gogit.PlainOpen(repo.Dir)
	if err != nil {
		t.Fatal(err)
	}
	all, err := r.Objects()
	if err != nil {
		t.Fatal(err)
	}
	var ids []plumbing.Hash
	if err := all.ForEach(func(o object.Object) error { ids = append(ids, o.ID()); return nil }); err != nil {
		t.Fatal(err)
	}
	rand.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// give has a checkout take objects, and finish.
func give(t *testing.T, repo *testutil.GitRepo, commit string, ids []plumbing.Hash) (*tree.Index, string, error) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := tree.NewWriter(root, tree.WriterOptions{})
	defer w.Close()
	id, err := tree.ParseID(commit)
	if err != nil {
		t.Fatal(err)
	}
	local, err := New(repo.Dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	store, err := local.openLocal()
	if err != nil {
		t.Fatal(err)
	}
	c := newCheckout(w, id, "")
	p := puller{limits: tree.Limits{}.OrDefault(), from: stored{streaming(store)}, to: c}
	for _, id := range ids {
		if err := p.take(tree.ID(id)); err != nil {
			return nil, dir, err
		}
	}
	if err := c.finish(t.Context()); err != nil {
		return nil, dir, err
	}
	index, err := w.Finish()
	return index, dir, err
}

// orderRepo has what is wanted once, twice, as a link and as a file; small and large.
func orderRepo(t *testing.T) *testutil.GitRepo {
	repo := testutil.NewRepo(t)
	large := strings.Repeat("0123456789abcdef", 1<<17)
	repo.Commit(map[string]string{"a": "once", "b": "x", "c/d": "x", "c/e/f": "y", "large": large, "c/large": large, "empty": ""})
	if err := errors.Join(os.Symlink("x", repo.Dir+"/link"), os.Symlink("x", repo.Dir+"/c/link")); err != nil {
		t.Fatal(err)
	}
	repo.CommitAll()
	repo.Git("tag", "-a", "-m", "inner", "v1")
	repo.Git("tag", "-a", "-m", "outer", "v2", "v1")
	return repo
}

// In which order objects come is the server's business.
func TestObjectsInAnyOrder(t *testing.T) {
	repo := orderRepo(t)
	want := repo.Git("rev-parse", "HEAD^{tree}")
	for range 30 {
		ids := objectsOf(t, repo)
		for _, name := range []string{"HEAD", "v2"} {
			index, dir, err := give(t, repo, repo.Git("rev-parse", name), ids)
			if err != nil {
				t.Fatalf("%s, in the order %v: %v", name, ids, err)
			}
			if index.Root().String() != want {
				t.Errorf("%s, in the order %v: the root is %s; want %s", name, ids, index.Root(), want)
			}
			if left, err := os.ReadDir(dir); err != nil || len(left) != 6 {
				t.Errorf("there is %v, %v; want six names", left, err)
			}
		}
	}
}

// Whichever object a server leaves out, what it was is said.
func TestLeftOutObjects(t *testing.T) {
	repo := orderRepo(t)
	ids := objectsOf(t, repo)
	said := map[string]bool{}
	for i := range ids {
		some := append(append([]plumbing.Hash{}, ids[:i]...), ids[i+1:]...)
		_, _, err := give(t, repo, repo.Git("rev-parse", "v2"), some)
		var known *Error
		if err == nil { // of the commit before
			continue
		}
		if !errors.As(err, &known) || known.Class != Content || !known.Retry {
			t.Errorf("without %s: %v", ids[i], err)
			continue
		}
		_, what, _ := strings.Cut(known.Why, "the server left out ")
		said[what] = true
	}
	for _, want := range []string{"the commit itself", "its list of files", `"a"`, `"b" and 3 more`, `"c/"`, `"c/e/"`, `"c/e/f"`, `"empty"`, `"c/large" and 1 more`} {
		if !said[want] {
			t.Errorf("nobody said that %s was left out, but %v", want, said)
		}
	}
}
