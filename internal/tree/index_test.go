package tree_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/internal/tree"
)

// files is a tree as a test writes it: "@x" is a link to x, "!x" a program, and a name
// that ends in a slash a folder.
type files map[string]string

func (f files) write(t testing.TB, w *tree.Writer) {
	t.Helper()
	for name, content := range f {
		var err error
		switch {
		case strings.HasSuffix(name, "/"):
			err = w.Dir(name)
		case strings.HasPrefix(content, "@"):
			err = w.Symlink(name, content[1:])
		case strings.HasPrefix(content, "!"):
			err = w.File(name, tree.Program, int64(len(content)), strings.NewReader(content))
		default:
			err = w.File(name, tree.Plain, -1, strings.NewReader(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

var sorting = files{
	"a": "x", "a.txt": "y", "a-b/c": "z", "ab/a": "!run", "ab.d/e/f": "deep", "ab/l": "@a", "ü": "ü", "empty": "", "a0": "0", "b/c.d": "1", "b/c/d": "2", "b/c-d": "3",
}

// newTree writes a tree and closes the writer.
func newTree(t testing.TB, dir string, opts tree.WriterOptions, write func(*tree.Writer)) *tree.Index {
	t.Helper()
	root := openRoot(t, dir)
	t.Cleanup(func() { open(t, dir) })
	w := tree.NewWriter(root, opts)
	write(w)
	index, err := w.Finish()
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	return index
}

// open makes the folders of a tree writable, so that they can be removed by whoever
// runs the tests.
func open(t testing.TB, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	return root
}

// An index has the id that git gives the same tree, however it came about.
func TestRootIsGits(t *testing.T) {
	dir := t.TempDir()
	index := newTree(t, dir, tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(t, w) })
	repo := t.TempDir()
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Env = dir, append(testutil.GitEnv(), "GIT_DIR="+repo, "GIT_WORK_TREE="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q")
	git("add", "-A")
	if want := git("write-tree"); index.Root().String() != want {
		t.Errorf("the root is %v; git says %s", index.Root(), want)
	}
	scanned, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{})
	if err != nil || scanned.Root() != index.Root() || scanned.Size() != index.Size() {
		t.Errorf("scanned: %v %+v, %v; want %v %+v", scanned.Root(), scanned.Size(), err, index.Root(), index.Size())
	}
	for e := range index.All() {
		if got, ok := index.Lookup(e.Path); !ok || got != e {
			t.Errorf("Lookup(%q) = %+v, %v", e.Path, got, ok)
		}
		if e.Mode == tree.Folder {
			raw, ok := index.Tree(e.ID)
			if want := git("rev-parse", git("write-tree")+":"+e.Path); !ok || tree.ObjectID("tree", raw).String() != want {
				t.Errorf("the folder %s is %x; git says %s", e.Path, raw, want)
			}
		}
	}
	if _, ok := index.Lookup("nope"); ok {
		t.Error("found what is not there")
	}
}

func TestIndexIsReadAsItWasWritten(t *testing.T) {
	index := newTree(t, t.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(t, w) })
	text := index.Bytes()
	read, err := tree.ReadIndex(bytes.NewReader(text))
	if err != nil || read.Root() != index.Root() || !slices.Equal(slices.Collect(read.All()), slices.Collect(index.All())) {
		t.Fatalf("read %+v, %v", read, err)
	}
	for i := range text {
		broken := bytes.Clone(text)
		broken[i] ^= 1
		if _, err := tree.ReadIndex(bytes.NewReader(broken)); !errors.Is(err, tree.ErrIndex) {
			t.Fatalf("byte %d was changed: %v", i, err)
		}
	}
	if _, err := tree.ReadIndex(bytes.NewReader(text[:len(text)-1])); !errors.Is(err, tree.ErrIndex) {
		t.Errorf("cut off: %v", err)
	}
}

func FuzzReadIndex(f *testing.F) {
	whole := newTree(f, f.TempDir(), tree.WriterOptions{}, func(w *tree.Writer) { sorting.write(f, w) }).Bytes()
	f.Add(whole[:len(whole)-sha256.Size])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, body []byte) { // whoever makes one for us, knows how to make its checksum
		sum := sha256.Sum256(body)
		text := append(bytes.Clone(body), sum[:]...)
		index, err := tree.ReadIndex(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := tree.ReadIndex(bytes.NewReader(index.Bytes()))
		if err != nil || again.Root() != index.Root() || !slices.Equal(slices.Collect(again.All()), slices.Collect(index.All())) {
			t.Errorf("what was written of it is read as another: %v", err)
		}
		for e := range index.All() {
			if got, ok := index.Lookup(e.Path); !ok || got != e {
				t.Errorf("%q is in it, and is not found", e.Path)
			}
		}
	})
}

// edits are what may happen to a published tree behind our back.
var edits = map[string]func(dir string) error{
	"content": func(d string) error { return rewrite(filepath.Join(d, "a.txt"), "z") },
	"longer":  func(d string) error { return rewrite(filepath.Join(d, "a.txt"), "zz") },
	"deep":    func(d string) error { return rewrite(filepath.Join(d, "b/c/d"), "deeper") },
	"gone":    func(d string) error { return os.Remove(filepath.Join(d, "b/c/d")) },
	"more":    func(d string) error { return os.WriteFile(filepath.Join(d, "b/c/new"), nil, 0o644) },
	"top":     func(d string) error { return os.WriteFile(filepath.Join(d, "new"), nil, 0o644) },
	"bit":     func(d string) error { return os.Chmod(filepath.Join(d, "a.txt"), 0o755) },
	"no bit":  func(d string) error { return os.Chmod(filepath.Join(d, "ab/a"), 0o644) },
	"link": func(d string) error {
		return errors.Join(os.Remove(filepath.Join(d, "ab/l")), os.Symlink("b", filepath.Join(d, "ab/l")))
	},
	"file->ln": func(d string) error {
		return errors.Join(os.Remove(filepath.Join(d, "a0")), os.Symlink("b", filepath.Join(d, "a0")))
	},
	"dir gone": func(d string) error { return os.RemoveAll(filepath.Join(d, "b")) },
}

func rewrite(path, content string) error {
	return errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte(content), 0o644))
}

func TestEditsAreFound(t *testing.T) {
	for name, edit := range edits {
		dir := t.TempDir()
		index := newTree(t, dir, tree.WriterOptions{Writable: true}, func(w *tree.Writer) { sorting.write(t, w) })
		root := openRoot(t, dir)
		if err := errors.Join(tree.Check(t.Context(), root, index), tree.Verify(t.Context(), root, index)); err != nil {
			t.Fatalf("%s: before: %v", name, err)
		}
		if err := edit(dir); err != nil {
			t.Fatal(err)
		}
		var damaged *tree.DamagedError
		if err := tree.Check(t.Context(), root, index); !errors.As(err, &damaged) {
			t.Errorf("%s: Check: %v", name, err)
		}
	}
}

// What a disk loses shows only to who reads it.
func TestVerifyReads(t *testing.T) {
	dir := t.TempDir()
	index := newTree(t, dir, tree.WriterOptions{Writable: true}, func(w *tree.Writer) { sorting.write(t, w) })
	path := filepath.Join(dir, "ab.d/e/f")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, []byte("dEEp"), 0o644), os.Chtimes(path, info.ModTime(), info.ModTime())); err != nil {
		t.Fatal(err)
	}
	root := openRoot(t, dir)
	if err := tree.Check(t.Context(), root, index); err != nil {
		t.Errorf("Check, which does not read: %v", err)
	}
	var damaged *tree.DamagedError
	if err := tree.Verify(t.Context(), root, index); !errors.As(err, &damaged) || damaged.Path != "ab.d/e/f" {
		t.Errorf("Verify: %v", err)
	}
}

// listTree is what a tree holds, by the means of the system alone.
func listTree(t testing.TB, dir string) []string {
	t.Helper()
	var found []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		content := ""
		switch {
		case d.Type()&fs.ModeSymlink != 0:
			content, err = os.Readlink(path)
		case d.Type().IsRegular():
			var text []byte
			text, err = os.ReadFile(path)
			content = string(text)
		}
		found = append(found, fmt.Sprint(name, " ", info.Mode(), " ", content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}
