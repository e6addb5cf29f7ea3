package datasync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// seal makes a tree read-only: folders and executable files 0555, other files
// 0444. Symlinks stay as they are. Anything else is refused.
func seal(dir string) (err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	// Through the root, so that a link put in the way of a name leads nowhere else.
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		mode := fs.FileMode(0o444)
		switch {
		case info.IsDir():
			mode = 0o555
		case !info.Mode().IsRegular():
			return fmt.Errorf("%q is neither a file, a folder nor a link", name)
		case info.Mode()&0o111 != 0:
			mode = 0o555
		}
		if info.Mode() == info.Mode().Type()|mode {
			return nil
		}
		return root.Chmod(name, mode)
	})
	return err
}

// removeTree removes a tree that may be read-only.
func removeTree(dir string) error {
	err := os.RemoveAll(dir)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	if err = os.Chmod(dir, 0o755); err != nil {
		return err
	}
	if err = inRoot(dir, unsealAll); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// unsealAll goes through the root, as seal does, since a path may be longer than one
// call takes.
func unsealAll(root *os.Root) error {
	return fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		return root.Chmod(name, 0o755)
	})
}
