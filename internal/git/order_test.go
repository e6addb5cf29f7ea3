package git

import (
	"errors"
	"fmt"
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
	if err := errors.Join(os.Symlink("x", repo.Dir+"/link"), os.Symlink("x", repo.Dir+"/c/link"),
		os.Symlink("nowhere", repo.Dir+"/lost"), os.Symlink("nowhere", repo.Dir+"/c/lost")); err != nil {
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
			if left, err := os.ReadDir(dir); err != nil || len(left) != 7 {
				t.Errorf("there is %v, %v; want seven names", left, err)
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
	for _, want := range []string{"the commit itself", "its list of files", `"a"`, `"b" and 3 more`, `"c/"`, `"c/e/"`, `"c/e/f"`, `"empty"`, `"c/large" and 1 more`, `"c/lost" and 1 more`} {
		if !said[want] {
			t.Errorf("nobody said that %s was left out, but %v", want, said)
		}
	}
}

// A disk may rot: what is read is held against the id it is kept under.
func TestRottenRepository(t *testing.T) {
	for _, size := range []int{10, 2 << 20} {
		repo := testutil.NewRepo(t)
		repo.Commit(map[string]string{"a": strings.Repeat("a", size), "b": strings.Repeat("b", size)})
		file := func(name string) string {
			id := repo.Git("rev-parse", "HEAD:"+name)
			return repo.Dir + "/.git/objects/" + id[:2] + "/" + id[2:]
		}
		if err := errors.Join(os.Remove(file("b")), os.Link(file("a"), file("b"))); err != nil {
			t.Fatal(err)
		}
		var ids []plumbing.Hash
		for _, name := range []string{"HEAD", "HEAD^{tree}", "HEAD:a", "HEAD:b"} {
			ids = append(ids, plumbing.NewHash(repo.Git("rev-parse", name)))
		}
		_, _, err := give(t, repo, repo.Head(), ids)
		var known *Error
		if !errors.As(err, &known) || known.Class != Content || !strings.Contains(known.Why, "is damaged") {
			t.Errorf("%d bytes: got %v; want that an object is damaged", size, err)
		}
	}
}

// entries is a tree object.
func entries(parts ...string) []byte {
	var out []byte
	for _, part := range parts {
		out = append(append(out, part...), "\x00\x01\x02\x03456789abcdefghijk"[:21]...)
	}
	return out
}

func TestFoldersOfStrangers(t *testing.T) {
	for name, c := range map[string]struct {
		content []byte
		want    string
	}{
		"good":       {entries("100644 a", "100644 a-b", "40000 a.c", "120000 l", "160000 m", "100664 old", "100755 x"), "<nil>"},
		"padded":     {entries("040000 a"), "damaged"},
		"no mode":    {entries(" a"), "damaged"},
		"no number":  {entries("1x a"), "damaged"},
		"too large":  {entries("40000000000000 a"), "damaged"},
		"cut":        {entries("100644 a")[:20], "damaged"},
		"no name":    {entries("100644 "), "is no name"},
		"dot dot":    {entries("100644 .."), "is no name"},
		"slash":      {entries("100644 a/b"), "is no name"},
		"twice":      {entries("100644 a", "100644 a"), "there twice"},
		"not sorted": {entries("100644 b", "100644 a"), "not where it belongs"},
		"as a file":  {entries("40000 a", "100644 a-b"), "not where it belongs"},
		"pipe":       {entries("10000 p"), "has the mode 10000"},
	} {
		if err := readFolder(c.content); !strings.Contains(fmt.Sprint(err), c.want) {
			t.Errorf("%s: %v; want %q", name, err, c.want)
		}
	}
}

func readFolder(content []byte) error {
	var before leaf
	for len(content) > 0 {
		e, rest, ok := nextLeaf(content)
		if !ok {
			return errors.New("damaged")
		}
		if err := e.check("d/", before); err != nil {
			return err
		}
		before, content = e, rest
	}
	return nil
}

// Whatever is taken for a folder reads like one that git wrote.
func FuzzFolder(f *testing.F) {
	f.Add(entries("100644 a", "40000 b", "120000 l", "160000 m"))
	f.Add(entries("040000 a"))
	f.Add([]byte("100644 a"))
	f.Fuzz(func(t *testing.T, content []byte) {
		if readFolder(content) != nil {
			return
		}
		var o plumbing.MemoryObject
		o.SetType(plumbing.TreeObject)
		if _, err := o.Write(content); err != nil {
			t.Fatal(err)
		}
		var theirs object.Tree
		if err := theirs.Decode(&o); err != nil {
			t.Fatalf("%q is taken, and not by others: %v", content, err)
		}
		for i := 0; len(content) > 0; i++ {
			e, rest, _ := nextLeaf(content)
			if e.name != theirs.Entries[i].Name || e.id != tree.ID(theirs.Entries[i].Hash) {
				t.Errorf("entry %d of %q is %q here and %q elsewhere", i, content, e.name, theirs.Entries[i].Name)
			}
			content = rest
		}
	})
}

func FuzzModules(f *testing.F) {
	f.Add([]byte("[submodule \"a\"]\n\tpath = a\n\turl = ../a\n"))
	f.Add([]byte("[submodule \"a\"]\n\tpath = ../x\n[submodule]\nurl\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = parseModules(".gitmodules", text) // it may fail, and must return
	})
}
