package archive

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"
)

// unfinished begins the names of archives that are being written.
const unfinished = ".unfinished-"

// FolderVault is a vault in a folder, which is made when it is missing, for its
// owner alone. What a crash left unfinished there is removed; several processes
// may share the folder.
func FolderVault(dir string) (Vault, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("open vault: %w", err)
	}
	v := folderVault{dir}
	if err := v.in(v.sweep); err != nil {
		return nil, fmt.Errorf("open vault %s: %w", dir, err)
	}
	return v, nil
}

type folderVault struct{ dir string }

func (v folderVault) Put(ctx context.Context, name string, r io.Reader) error {
	err := cmp.Or(CheckName(name), ctx.Err())
	if err == nil {
		err = v.in(func(root *os.Root) error { return put(root, name, Within(ctx, r)) })
	}
	if err != nil {
		return fmt.Errorf("put backup %q: %w", name, Explain(err, v.dir))
	}
	return nil
}

func (v folderVault) Get(ctx context.Context, name string) (io.ReadCloser, error) {
	var file *os.File
	err := cmp.Or(CheckName(name), ctx.Err())
	if err == nil {
		err = v.in(func(root *os.Root) (err error) {
			file, err = root.Open(name)
			return err
		})
	}
	if errors.Is(err, fs.ErrNotExist) {
		err = ErrNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("get backup %q: %w", name, err)
	}
	return file, nil
}

func (v folderVault) List(ctx context.Context) ([]Item, error) {
	var items []Item
	err := v.in(func(root *os.Root) error {
		entries, err := fs.ReadDir(root.FS(), ".")
		if err != nil {
			return err
		}
		for _, entry := range entries {
			info, err := entry.Info()
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			if err == nil && info.Mode().IsRegular() && CheckName(info.Name()) == nil {
				items = append(items, Item{Name: info.Name(), Size: info.Size(), Modified: info.ModTime()})
			}
		}
		return ctx.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("list backups in %s: %w", v.dir, err)
	}
	return items, nil
}

func (v folderVault) Delete(ctx context.Context, name string) error {
	err := cmp.Or(CheckName(name), ctx.Err())
	if err == nil {
		err = v.in(func(root *os.Root) error {
			if err := root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
			return syncFolder(root)
		})
	}
	if err != nil {
		return fmt.Errorf("delete backup %q: %w", name, err)
	}
	return nil
}

// in calls fn with the folder opened.
func (v folderVault) in(fn func(root *os.Root) error) error {
	root, err := os.OpenRoot(v.dir)
	if err != nil {
		return err
	}
	return errors.Join(fn(root), root.Close())
}

// put writes aside, syncs and renames. While the file is open it is locked, so
// that it is not taken for a leftover.
func put(root *os.Root, name string, r io.Reader) (err error) {
	aside := unfinished + rand.Text()
	file, err := root.OpenFile(aside, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		err = errors.Join(err, file.Close())
		if err != nil {
			root.Remove(aside) //nolint:errcheck // the next start sweeps what is left
		}
	}()
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return err
	}
	if _, err := io.Copy(file, r); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := root.Rename(aside, name); err != nil {
		return err
	}
	return syncFolder(root)
}

// sweep removes what no process is writing any more.
func (v folderVault) sweep(root *os.Root) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), unfinished) || !entry.Type().IsRegular() {
			continue
		}
		if err := removeUnlocked(root, entry.Name()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

func removeUnlocked(root *os.Root, name string) (err error) {
	file, err := root.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	switch err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil
	case err != nil:
		return err
	}
	return root.Remove(name)
}

func syncFolder(root *os.Root) error {
	dir, err := root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// Unnamed makes a file in dir that has no name, so that a crash leaves nothing of it.
func Unnamed(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "spool-")
	if err != nil {
		return nil, Explain(err, dir)
	}
	if err := os.Remove(file.Name()); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// FreeSpace is how many bytes may still be written where dir is.
func FreeSpace(dir string) (int64, error) {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return 0, fmt.Errorf("measure the disk of %s: %w", dir, err)
	}
	return int64(disk.Bavail) * disk.Bsize, nil
}
