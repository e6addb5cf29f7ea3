package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
)

// Check looks whether a tree on disk is still what its index says, as far as the
// inodes tell: an edit shows, rot does not. Its error is a *DamagedError.
func Check(ctx context.Context, root *os.Root, x *Index) error {
	return inspect(ctx, root, x, func(*folders, Entry) error { return nil })
}

// Verify reads all of a tree on disk, and holds it against its index. Its error is a
// *DamagedError, or of the disk.
func Verify(ctx context.Context, root *os.Root, x *Index) error {
	return inspect(ctx, root, x, func(in *folders, e Entry) error {
		switch {
		case e.Mode.isFile():
			return verifyFile(in, e)
		case e.Mode.isLink():
			target, err := readLink(in, e.Path)
			if err == nil && ObjectID("blob", []byte(target)) != e.ID {
				err = &DamagedError{e.Path, "leads elsewhere"}
			}
			return err
		}
		return nil
	})
}

func verifyFile(in *folders, e Entry) (err error) {
	f, err := in.open(e.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	id, err := BlobID(e.Size, f)
	if err != nil {
		return err
	}
	if id != e.ID {
		return &DamagedError{e.Path, "has other contents"}
	}
	return nil
}

func inspect(ctx context.Context, root *os.Root, x *Index, more func(*folders, Entry) error) (err error) {
	in := newFolders(root)
	defer func() { err = errors.Join(err, in.close()) }()
	if err := strangers(in, x, func(name string) error { return &DamagedError{name, "does not belong there"} }); err != nil {
		return err
	}
	for e := range x.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if why := unlike(in, e); why != "" {
			return &DamagedError{e.Path, why}
		}
		if err := more(in, e); err != nil {
			return err
		}
	}
	return nil
}

// strangers calls fn for what stands at the top of a tree and is not in its index.
// Below, a folder's own time tells.
func strangers(in *folders, x *Index, fn func(name string) error) error {
	names, err := fs.ReadDir(in.root.FS(), ".")
	if err != nil {
		return err
	}
	for _, d := range names {
		if _, known := x.Lookup(d.Name()); known {
			continue
		}
		if err := fn(d.Name()); err != nil {
			return err
		}
	}
	return nil
}

// Unseal makes a sealed tree one that a Writer can turn into another.
func Unseal(root *os.Root, x *Index) (err error) {
	in := newFolders(root)
	defer func() { err = errors.Join(err, in.close()) }()
	if err := root.Chmod(".", 0o755); err != nil {
		return err
	}
	for e := range x.All() {
		if e.Mode.isFolder() {
			if err := root.Chmod(e.Path, 0o755); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
	}
	return strangers(in, x, root.RemoveAll)
}

// Open opens a file of the tree for reading. Whoever reads it holds what it read
// against an id.
func (b *Base) Open(name string) (*os.File, error) { return b.Root.Open(name) }
