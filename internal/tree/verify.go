package tree

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path"

	"golang.org/x/sys/unix"
)

// Check looks whether a tree on disk is still what its index says, as far as the
// inodes tell: an edit shows, rot does not. Its error is a *DamagedError.
func Check(ctx context.Context, root *os.Root, x *Index) error {
	return inspect(ctx, root, x, func(in *folders, e Entry) error {
		if why := unlike(in, e); why != "" {
			return &DamagedError{e.Path, why}
		}
		return nil
	})
}

// Verify reads all of a tree on disk, and holds it against its index. When something
// was written does not matter: a copy of the tree is as good. Its error is a
// *DamagedError, or of the disk.
func Verify(ctx context.Context, root *os.Root, x *Index) error {
	return inspect(ctx, root, x, func(in *folders, e Entry) error {
		e.Modified = 0
		if why := unlike(in, e); why != "" {
			return &DamagedError{e.Path, why}
		}
		switch {
		case e.Mode.isFile():
			return verifyFile(in, e)
		case e.Mode.isFolder():
			return strangers(in, x, e.Path, notBelonging)
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

func inspect(ctx context.Context, root *os.Root, x *Index, look func(*folders, Entry) error) (err error) {
	in := newFolders(root)
	defer func() { err = errors.Join(err, in.close()) }()
	if err := strangers(in, x, ".", notBelonging); err != nil {
		return err
	}
	for e := range x.All() {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := look(in, e); err != nil {
			return err
		}
	}
	return nil
}

func notBelonging(name string) error {
	if isRepository(name) {
		return nil // of a build; Scan leaves it out too
	}
	return &DamagedError{name, "does not belong there"}
}

// strangers calls fn for what stands in a folder of a tree and is not in its index. At
// the top nothing else tells; below, a folder's own time does, as long as it was kept.
func strangers(in *folders, x *Index, dir string, fn func(name string) error) error {
	names, err := fs.ReadDir(in.root.FS(), dir)
	if err != nil {
		return err
	}
	for _, d := range names {
		name := path.Join(dir, d.Name())
		if _, known := x.Lookup(name); known {
			continue
		}
		if err := fn(name); err != nil {
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
		if !e.Mode.isFolder() {
			continue
		}
		if err := unsealFolder(in, e.Path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return strangers(in, x, ".", root.RemoveAll)
}

// unsealFolder makes a folder writable, but follows no link that stands in its place: a
// file of this tree may be another's too.
func unsealFolder(in *folders, name string) error {
	dir, err := in.fd(path.Dir(name))
	if err != nil {
		return err
	}
	var stat unix.Stat_t
	if err := unix.Fstatat(dir, path.Base(name), &stat, unix.AT_SYMLINK_NOFOLLOW); err != nil || stat.Mode&unix.S_IFMT != unix.S_IFDIR {
		return err
	}
	return unix.Fchmodat(dir, path.Base(name), 0o755, 0)
}

// Open opens a file of the tree for reading. Whoever reads it holds what it read
// against an id.
func (b *Base) Open(name string) (*os.File, error) { return b.Root.Open(name) }
