package tree_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"popup/internal/tree"
)

// More folders than are held open: a descriptor that is in use is not closed for
// another one.
func TestManyFolders(t *testing.T) {
	const folders = 1000
	index := newTree(t, t.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) {
		if err := w.File("d0/f", tree.Plain, 1, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		for n := range folders {
			name := fmt.Sprintf("d%d/s/f", n)
			if err := w.Link(name, "d0/f"); err != nil {
				t.Fatalf("link %s: %v", name, err)
			}
			f, temp, err := w.Temp()
			if err != nil {
				t.Fatal(err)
			}
			if err := errors.Join(f.Close(), w.Adopt(fmt.Sprintf("e%d/s/f", n), tree.Plain, temp, 0, tree.ObjectID("blob", nil))); err != nil {
				t.Fatal(err)
			}
		}
	})
	if got := index.Size().Files; got != 2*folders+1 {
		t.Errorf("there are %d files", got)
	}
}

// A build may leave files behind that are older than 1970.
func TestIndexOfOldFiles(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	old := time.Unix(-1000, 0)
	if err := errors.Join(os.WriteFile(path, nil, 0o644), os.Chtimes(path, old, old)); err != nil {
		t.Fatal(err)
	}
	index, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	read, err := tree.ReadIndex(bytes.NewReader(index.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Check(t.Context(), openRoot(t, dir), read); err != nil {
		t.Error(err)
	}
}

// What is scanned can be read again, or is refused at once.
func TestScanRefusesWhatCannotBeIndexed(t *testing.T) {
	dir := t.TempDir()
	deep := dir + strings.Repeat("/"+strings.Repeat("d", 200), 6)
	if err := os.MkdirAll(deep, 0o755); err != nil {
		t.Fatal(err)
	}
	var limit *tree.LimitError
	if _, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{}); !errors.As(err, &limit) || limit.What != "path" {
		t.Errorf("it is %v", err)
	}
}

// A build may leave a repository behind: it is no content, and no damage.
func TestRepositoryOfABuildIsNoDamage(t *testing.T) {
	for _, at := range []string{".git", "vendor/.git"} {
		dir := t.TempDir()
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, at, "objects"), 0o755), os.WriteFile(filepath.Join(dir, "f"), nil, 0o644)); err != nil {
			t.Fatal(err)
		}
		index, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		root := openRoot(t, dir)
		if err := errors.Join(tree.Check(t.Context(), root, index), tree.Verify(t.Context(), root, index)); err != nil {
			t.Errorf("%s: %v", at, err)
		}
	}
}

// A link at the top that leads elsewhere, by a name as long, shows: nothing else tells.
func TestLinkThatLeadsElsewhereShows(t *testing.T) {
	dir := t.TempDir()
	f := files{"l": "@a", "a": "1", "b": "2"}
	index := newTree(t, dir, tree.WriterOptions{Writable: true}, func(w *tree.Writer) { f.write(t, w) })
	path := filepath.Join(dir, "l")
	if err := errors.Join(os.Remove(path), os.Symlink("b", path)); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, dir)
	var damaged *tree.DamagedError
	if err := tree.Check(t.Context(), root, index); !errors.As(err, &damaged) {
		t.Errorf("Check: %v", err)
	}
	newTree(t, dir, tree.WriterOptions{Spare: index}, func(w *tree.Writer) { checkout(t, w, index, f) })
	if to, err := os.Readlink(path); err != nil || to != "a" {
		t.Errorf("it was kept, and leads to %q, %v", to, err)
	}
}

// Permissions are those that were meant, whatever the umask lets through.
func TestUmask(t *testing.T) {
	for _, umask := range []int{0o011, 0o077, 0o133} {
		func() {
			dir := t.TempDir()
			old := unix.Umask(umask)
			defer unix.Umask(old)
			newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) {
				for _, name := range []string{"a", "b"} {
					files{name: "x", name + "-program": "!x"}.write(t, w)
					if err := w.Put("put-"+name, tree.Program, tree.ID{}, nil); err != nil {
						t.Fatal(err)
					}
				}
			})
			for name, want := range map[string]fs.FileMode{"a": 0o444, "b": 0o444, "a-program": 0o555, "b-program": 0o555, "put-a": 0o555} {
				if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != want {
					t.Errorf("umask %o: %s is %v, %v; want %v", umask, name, info.Mode(), err, want)
				}
			}
		}()
	}
}

// Opening a spare follows no link that somebody put there: what it leads to may be
// shared with another tree.
func TestUnsealFollowsNoLink(t *testing.T) {
	dir := t.TempDir()
	index := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) { files{"d/x": "1", "shared": "2"}.write(t, w) })
	if err := errors.Join(os.Chmod(filepath.Join(dir, "d"), 0o755), os.Chmod(dir, 0o755),
		os.RemoveAll(filepath.Join(dir, "d")), os.Symlink("shared", filepath.Join(dir, "d"))); err != nil {
		t.Fatal(err)
	}
	if err := tree.Unseal(openRoot(t, dir), index); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(filepath.Join(dir, "shared")); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("the shared file is %v, %v", info.Mode(), err)
	}
}

// Verify goes by what there is, not by when it was written: a tree that was copied,
// as into an image, is as good.
func TestVerifyGoesByContent(t *testing.T) {
	dir := t.TempDir()
	index := newTree(t, dir, tree.WriterOptions{Writable: true}, func(w *tree.Writer) { sorting.write(t, w) })
	root := openRoot(t, dir)
	for e := range index.All() {
		if e.Mode == tree.Link {
			continue
		}
		second := time.Unix(0, e.Modified).Truncate(time.Second)
		if err := os.Chtimes(filepath.Join(dir, e.Path), second, second); err != nil {
			t.Fatal(err)
		}
	}
	if err := tree.Verify(t.Context(), root, index); err != nil {
		t.Errorf("a copy: %v", err)
	}
	var damaged *tree.DamagedError
	for _, name := range []string{"b/c/new", "ab/.git"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := tree.Verify(t.Context(), root, index); name == "b/c/new" != errors.As(err, &damaged) {
			t.Errorf("with %s: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

// A link to a name that no file can have leads nowhere, and so not out of the tree.
func TestLinkToATooLongNameStays(t *testing.T) {
	newTree(t, t.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) { files{"l": "@" + strings.Repeat("x", 300)}.write(t, w) })
}

// A tree that names an entry twice is refused or has it once; never is it counted twice.
func TestEntryTwice(t *testing.T) {
	dir := t.TempDir()
	f := files{"d/x": "1", "f": "22"}
	index := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) { f.write(t, w) })
	root := openRoot(t, dir)
	if err := tree.Unseal(root, index); err != nil {
		t.Fatal(err)
	}
	w := tree.NewWriter(root, tree.WriterOptions{Spare: index})
	defer w.Close() //nolint:errcheck // it was only read
	var refused *tree.EntryError
	for range 2 {
		for e := range index.All() {
			if e.Path == "d/x" {
				continue
			}
			if _, err := w.Reuse(e.Path, e.Mode, e.ID); err != nil && !errors.As(err, &refused) {
				t.Fatal(err)
			}
		}
	}
	got, err := w.Finish()
	if err != nil || refused == nil && got.Size() != index.Size() {
		t.Errorf("it is %+v, %v; want %+v", got.Size(), err, index.Size())
	}
}
