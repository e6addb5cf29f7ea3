package tree_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"popup/internal/tree"
)

// Put writes what File would, and is bounded like it.
func TestPutIsFile(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := tree.NewWriter(root, tree.WriterOptions{Limits: tree.Limits{Bytes: 10}})
	defer w.Close()
	content := []byte("01234567")
	if err := w.Put("d/run", tree.Program, tree.ObjectID("blob", content), content); err != nil {
		t.Fatal(err)
	}
	var limit *tree.LimitError
	if err := w.Put("d/more", tree.Plain, tree.ID{}, []byte("012")); !errors.As(err, &limit) {
		t.Errorf("one byte more than the limit: %v", err)
	}
	var entry *tree.EntryError
	if err := w.Put("../out", tree.Plain, tree.ID{}, nil); !errors.As(err, &entry) {
		t.Errorf("a name that leads out: %v", err)
	}
	f, err := w.Open("d/run")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != string(content) {
		t.Errorf("it holds %q, %v", got, err)
	}
	info, err := os.Stat(filepath.Join(dir, "d/run"))
	if err != nil || info.Mode().Perm() != 0o555 {
		t.Errorf("it is %v, %v; want 0555", info.Mode(), err)
	}
	if _, err := w.Open("../" + filepath.Base(dir) + "/d/run"); err == nil {
		t.Error("a file was opened by a name that leads out")
	}
}

// What a Put writes is what an index made of it says.
func TestPutIsIndexed(t *testing.T) {
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	t.Cleanup(func() { open(t, dir) })
	w := tree.NewWriter(root, tree.WriterOptions{})
	defer w.Close()
	for _, name := range []string{"a", "d/b", "a"} { // the last replaces the first
		if err := w.Put(name, tree.Plain, tree.ObjectID("blob", []byte(name)), []byte(name)); err != nil {
			t.Fatal(err)
		}
	}
	index, err := w.Finish()
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Verify(t.Context(), root, index); err != nil {
		t.Error(err)
	}
}
