package tree_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/tree"
)

func newWriter(t *testing.T, limits tree.Limits) (*tree.Writer, string) {
	t.Helper()
	dir := t.TempDir()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := root.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() { open(t, dir) })
	w := tree.NewWriter(root, tree.WriterOptions{Limits: limits})
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	return w, dir
}

// A limit is what may be had, and one more is refused.
func TestLimitsAreExact(t *testing.T) {
	w, _ := newWriter(t, tree.Limits{Bytes: 10, Files: 3})
	if err := w.File("d/a", tree.Plain, 10, strings.NewReader("0123456789")); err != nil {
		t.Fatal(err)
	}
	var limit *tree.LimitError
	if err := w.File("d/b", tree.Plain, 1, strings.NewReader("x")); !errors.As(err, &limit) || limit.What != "bytes" {
		t.Errorf("one byte more: %v", err)
	}
	if err := w.Dir("d"); err != nil {
		t.Errorf("a folder that is there: %v", err)
	}
	if err := w.Dir("e"); !errors.As(err, &limit) || limit.What != "entries" {
		t.Errorf("one entry more: %v", err)
	}
}

// Links of one folder are not those of another.
func TestLinkToLinkIsCheckedWhereItStands(t *testing.T) {
	w, _ := newWriter(t, tree.Limits{})
	if err := w.Symlink("a/b/l", "../../x"); err != nil {
		t.Fatal(err)
	}
	if err := w.Link("a/l", "a/b/l"); err == nil {
		t.Error("a link that leads out was made by way of a hard link")
	}
}

func TestLinksThatLeadInACircleStay(t *testing.T) {
	w, dir := newWriter(t, tree.Limits{})
	for name, to := range map[string]string{"self": "self", "a": "b", "b": "a", "c": "self/x"} {
		if err := w.Symlink(name, to); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.File("f", tree.Program, 1, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := w.Symlink("below", "f/x"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Finish(); err != nil {
		t.Error(err)
	}
	if info, err := os.Lstat(filepath.Join(dir, "self")); err != nil || info.Mode()&fs.ModeSymlink == 0 {
		t.Errorf("it is %v, %v", info, err)
	}
}

func TestBytes(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 1023: "1023 bytes", 1536: "1.5 KiB", 1 << 20: "1 MiB", 5 << 30: "5 GiB"} {
		if got := tree.Bytes(n); got != want {
			t.Errorf("Bytes(%d) = %q; want %q", n, got, want)
		}
	}
}

func FuzzClean(f *testing.F) {
	for _, s := range []string{"a/b", "./a//b/.", "../a", "/a", "a/../b", ".git/x", "", "a\x00b", "..."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		clean, err := tree.Clean(name)
		if err != nil {
			return
		}
		if clean != "." && (!filepath.IsLocal(clean) || filepath.Clean(clean) != clean) {
			t.Errorf("Clean(%q) = %q, which leads out", name, clean)
		}
	})
}
