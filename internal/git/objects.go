package git

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	"github.com/go-git/go-git/v5/plumbing/object"
	"github.com/go-git/go-git/v5/plumbing/storer"
	"popup/internal/tree"
)

// objects is where commits, trees and files are read from.
type objects interface {
	Get(plumbing.Hash) (plumbing.EncodedObject, error)
}

// stored is a repository of this machine.
type stored struct{ storer.EncodedObjectStorer }

func (s stored) Get(id plumbing.Hash) (plumbing.EncodedObject, error) {
	return s.EncodedObject(plumbing.AnyObject, id)
}

// peel follows annotated tags to what they name.
func peel(from objects, id plumbing.Hash) (plumbing.Hash, error) {
	for range 10 {
		o, err := from.Get(id)
		if err != nil || o.Type() != plumbing.TagObject {
			return id, err
		}
		var tag object.Tag
		if err := tag.Decode(o); err != nil {
			return id, err
		}
		id = tag.Target
	}
	return id, errors.New("the tag names a tag, which names a tag, and so on")
}

// writeCommit writes the tree of a commit.
func writeCommit(ctx context.Context, from objects, id plumbing.Hash, w *tree.Writer) error {
	id, err := peel(from, id)
	if err != nil {
		return err
	}
	o, err := from.Get(id)
	if err != nil {
		return err
	}
	var commit object.Commit
	if err := commit.Decode(o); err != nil {
		return fmt.Errorf("read commit: %w", err)
	}
	w.Expect(tree.ID(commit.TreeHash), &tree.EntryError{Name: "the tree", Why: "that was written is not the commit's"})
	return writeTree(ctx, from, commit.TreeHash, "", w)
}

func writeTree(ctx context.Context, from objects, id plumbing.Hash, dir string, w *tree.Writer) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	o, err := from.Get(id)
	if err != nil {
		return fmt.Errorf("read folder %q: %w", dir, err)
	}
	var t object.Tree
	if err := t.Decode(o); err != nil {
		return fmt.Errorf("read folder %q: %w", dir, err)
	}
	for _, e := range t.Entries {
		if strings.Contains(e.Name, "/") || e.Name == "" || e.Name == "." {
			return &tree.EntryError{Name: dir + e.Name, Why: "is no name a file in git can have"}
		}
		if err := writeEntry(ctx, from, e, dir+e.Name, w); err != nil {
			return err
		}
	}
	return nil
}

func writeEntry(ctx context.Context, from objects, e object.TreeEntry, name string, w *tree.Writer) error {
	switch e.Mode {
	case filemode.Dir:
		if err := w.Dir(name); err != nil {
			return err
		}
		return writeTree(ctx, from, e.Hash, name+"/", w)
	case filemode.Submodule:
		return &tree.EntryError{Name: name, Why: "is a submodule, and submodules are not fetched yet; commit its files instead"}
	case filemode.Symlink, filemode.Regular, filemode.Deprecated, filemode.Executable:
		return writeBlob(from, e, name, w)
	}
	return &tree.EntryError{Name: name, Why: fmt.Sprintf("has the mode %s, which is no file, folder or link", e.Mode)}
}

func writeBlob(from objects, e object.TreeEntry, name string, w *tree.Writer) (err error) {
	o, err := from.Get(e.Hash)
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	content, err := o.Reader()
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	defer func() { err = errors.Join(err, content.Close()) }()
	start := make([]byte, len(lfsStart))
	n, err := io.ReadFull(content, start)
	if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
		return fmt.Errorf("read %q: %w", name, err)
	}
	if string(start[:n]) == lfsStart {
		return &tree.EntryError{Name: name, Why: "is a Git LFS pointer, and LFS is not fetched yet; commit the file itself"}
	}
	whole := io.MultiReader(strings.NewReader(string(start[:n])), content)
	if e.Mode != filemode.Symlink {
		return w.File(name, tree.Mode(e.Mode), o.Size(), whole)
	}
	target, err := io.ReadAll(io.LimitReader(whole, 1<<16))
	if err != nil {
		return fmt.Errorf("read %q: %w", name, err)
	}
	return w.Symlink(name, string(target))
}

// lfsStart begins a file that stands for one that is kept elsewhere.
const lfsStart = "version https://git-lfs.github.com/spec/"
