package sourcetest

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"popup/datasync"
	"popup/internal/tree"
	"popup/internal/wire"
)

// day is a tree with a bit of everything.
func day(content string) map[string]file {
	return map[string]file{
		"a": {content: content}, "d/e/b": {content: "2"}, "d/empty": {}, "größe 1+1=2%.txt": {content: "Umlaut\x00\xff"},
		"large": {content: strings.Repeat("0123456789abcdef", 40_000)}, "run": {content: "#!/bin/sh\n", program: true},
		"d/link": {link: "../a"}, "same": {content: "2"},
	}
}

// carried is what an upstream can carry of files.
func (u upstream) carried(files map[string]file) map[string]file {
	if u.plainly {
		for name, f := range files {
			if f.program = false; f.link != "" {
				delete(files, name)
				continue
			}
			files[name] = f
		}
	}
	return files
}

func each(t *testing.T, run func(t *testing.T, u upstream)) {
	for name, open := range upstreams() {
		t.Run(name, func(t *testing.T) { run(t, open(t)) })
	}
}

func open(t *testing.T, spec wire.Source, opts datasync.SourceOptions) datasync.Source {
	t.Helper()
	s, err := datasync.NewSource(spec, opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func head(t *testing.T, s datasync.Source) datasync.Revision {
	t.Helper()
	rev, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return rev
}

// A fetched tree, and what may be built upon it.
type fetched struct {
	dir   string
	index *tree.Index
}

// fetch writes the tree of rev upon base, which may be nil.
func fetch(ctx context.Context, t *testing.T, s datasync.Source, rev, have datasync.Revision, base *fetched) (*fetched, error) {
	t.Helper()
	dir, err := os.MkdirTemp("", "sourcetest-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeTree(t, dir) })
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, root)
	var opts tree.WriterOptions
	if base != nil {
		from, err := os.OpenRoot(base.dir)
		if err != nil {
			t.Fatal(err)
		}
		defer closed(t, from)
		opts.Base = &tree.Base{Root: from, Index: base.index, Share: true}
	}
	w := tree.NewWriter(root, opts)
	defer closed(t, w)
	if err := s.Fetch(ctx, rev, have, w); err != nil {
		return nil, err
	}
	index, err := w.Finish()
	return &fetched{dir, index}, err
}

func removeTree(t *testing.T, dir string) {
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
		t.Error(err)
	}
}

// holds compares a tree with what it must be: names, types, contents, targets, executable bits.
func (f *fetched) holds(t *testing.T, want map[string]file) {
	t.Helper()
	got := map[string]file{}
	err := filepath.WalkDir(f.dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(f.dir, path)
		if err != nil {
			return err
		}
		if d.Type()&fs.ModeSymlink != 0 {
			target, err := os.Readlink(path)
			got[name] = file{link: target}
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		content, err := os.ReadFile(path)
		got[name] = file{content: string(content), program: info.Mode()&0o100 != 0}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(file{}), cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("the tree is not what upstream has: %s", diff)
	}
}
