package datasync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
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
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode()&0o700 != 0o700 {
			err = os.Chmod(path, 0o755)
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.RemoveAll(dir)
}
