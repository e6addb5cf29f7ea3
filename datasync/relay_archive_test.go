package datasync

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"popup/internal/tree"
)

// What a relay writes for a tree is what a reader makes of it, upon any other tree.
func TestRelayArchivesCarryAnyTree(t *testing.T) {
	days := []map[string]string{
		{"a": "1"},
		{"a": "1", "a-b/c": "2", "a.b": "3", "ab/c/d": "4", "é/è": "5", strings.Repeat("long/", 50) + "name": "6"},
		{"ab/c/d": "1", "other/c/d": "4", relayTrees: "not that one", "twice": "1"},
		{"ab": "2", "empty": "", "large": noise(smallFile + 1)},
		{},
	}
	var indexes []*tree.Index
	var roots []*os.Root
	for i, day := range days {
		dir := t.TempDir()
		write(t, dir, day)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("run", i)), []byte("#!/bin/sh\n"), fs.FileMode(0o644|i%2*0o111)); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.Mkdir(filepath.Join(dir, "folder without files"), 0o755), os.Symlink("a", filepath.Join(dir, "z"))); err != nil {
			t.Fatal(err)
		}
		roots = append(roots, openRoot(t, dir))
		x, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		indexes = append(indexes, x)
	}
	for i, x := range indexes {
		for j := -1; j < len(indexes); j++ {
			var from *tree.Index
			var base *tree.Base
			if j >= 0 {
				from, base = indexes[j], &tree.Base{Root: roots[j], Index: indexes[j]}
			}
			carry(t, roots[i], x, from, base)
			carry(t, roots[i], x, nil, base) // a snapshot, to one who has something else
		}
	}
}

// carry writes the tree x, of which the reader has from, and reads it upon base.
func carry(t *testing.T, root *os.Root, x, from *tree.Index, base *tree.Base) {
	t.Helper()
	var packed bytes.Buffer
	if err := writeRelayArchive(t.Context(), &packed, root, x, from); err != nil {
		t.Fatal(err)
	}
	dir := tempDir(t)
	w := tree.NewWriter(openRoot(t, dir), tree.WriterOptions{Base: base})
	err := readRelayArchive(t.Context(), &packed, x.Root(), w, tree.Limits{}.OrDefault())
	if err == nil {
		_, err = w.Finish()
	}
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(listing(t, root.Name()), listing(t, dir)); diff != "" {
		t.Error(diff)
	}
}

// A change costs what changed: the ids of what did not are known to the reader.
func TestRelayChangeIsSmall(t *testing.T) {
	dir := t.TempDir()
	files := map[string]string{}
	for i := range 2000 {
		files[fmt.Sprintf("folder %d/file %d", i%20, i)] = fmt.Sprint("content ", i)
	}
	write(t, dir, files)
	scan := func() *tree.Index {
		x, err := tree.Scan(t.Context(), os.DirFS(dir), tree.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
	before := scan()
	write(t, dir, map[string]string{"folder 3/file 3": "changed", "folder 7/file 7": "as well"})
	var packed bytes.Buffer
	if err := writeRelayArchive(t.Context(), &packed, openRoot(t, dir), scan(), before); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > 600 {
		t.Errorf("two changes of 2000 files take %d bytes", packed.Len())
	}
}

func FuzzRelayHead(f *testing.F) {
	f.Add([]byte(`{"version":1,"revision":"tree-4b825dc642cb6eb9a060e54bf8d69288fbee4904","tree":"4b825dc642cb6eb9a060e54bf8d69288fbee4904",
		"published":"2026-05-01T12:00:00Z","period":600,"snapshot":{"name":"tree-4b825dc642cb6eb9a060e54bf8d69288fbee4904.tar.zst","size":100,
		"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}`))
	f.Add([]byte(`{"version":1,"revision":"../../etc","tree":"","snapshot":{"name":"/","size":-1}}`))
	f.Add([]byte(`{"version":1,"revision":"da39a3ee5e6b4b0d3255bfef95601890afd80709","commit":"dHJlZQ==","changes":[{"from":"x"}]}`))
	f.Add([]byte(`{"version":1,"period":9223372036854775807}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		h, err := parseRelayHead(text)
		if err != nil {
			return
		}
		for _, a := range h.archives() {
			if !isRelayArchive(a.Name) || !fs.ValidPath(a.Name) || strings.Contains(a.Name, "/") || a.Size <= 0 {
				t.Errorf("it names the archive %+v", a)
			}
		}
		if h.root().String() != h.Tree || !h.Revision.valid() {
			t.Errorf("the revision is %q and the tree %q", h.Revision, h.Tree)
		}
	})
}

// Whatever a relay sends, what is written is the tree that was asked for, or an error.
func FuzzRelayArchive(f *testing.F) {
	dir := f.TempDir()
	write(f, dir, map[string]string{"a": "1", "b/c": "2"})
	x, err := tree.Scan(f.Context(), os.DirFS(dir), tree.Limits{})
	if err != nil {
		f.Fatal(err)
	}
	root := openRoot(f, dir)
	trees := string(encodeTrees(x, nil))
	f.Add(tarOf(f, file(relayTrees, trees), file("a", "1"), file("b/c", "2")))
	f.Add(tarOf(f, file(relayTrees, trees), file("../a", "1"), link("b/c", "/etc")))
	f.Add(tarOf(f, file(relayTrees, trees[1:])))
	var none bytes.Buffer
	if err := writeRelayArchive(f.Context(), &none, root, x, x); err != nil {
		f.Fatal(err)
	}
	f.Add(none.Bytes())
	f.Fuzz(func(t *testing.T, content []byte) {
		dir := tempDir(t)
		w := tree.NewWriter(openRoot(t, dir), tree.WriterOptions{Limits: tree.Limits{Bytes: 1 << 20, Files: 100}})
		w.Expect(x.Root(), errors.New("another tree"))
		err := readRelayArchive(t.Context(), bytes.NewReader(zstdOf(t, content)), x.Root(), w, tree.Limits{Bytes: 1 << 20, Files: 100})
		if err == nil {
			_, err = w.Finish()
		}
		closeErr := w.Close()
		if closeErr != nil {
			t.Error(closeErr)
		}
		if err != nil {
			return
		}
		if got := listing(t, dir); len(got) != 3 || !strings.HasSuffix(got["a"], " 1") || !strings.HasSuffix(got["b/c"], " 2") {
			t.Errorf("it wrote %v", got)
		}
	})
}
