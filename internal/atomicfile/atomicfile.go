// Package atomicfile puts files and symlinks under their names at once: a reader
// and a machine that loses power see the old one or the new one, whole.
package atomicfile

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// TempPrefix begins the name of whatever is being made. A crash may leave such a
// name behind; nothing under it is ever looked at, and whoever owns the folder
// may remove it.
const TempPrefix = "tmp-"

// Write puts data under path with the permissions perm, replacing what was
// there. When it returns nil, data and name survive a loss of power; when it
// returns an error, what was there before still is, and nothing else was left.
func Write(path string, data []byte, perm fs.FileMode) error {
	return WriteFrom(path, perm, func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	})
}

// WriteFrom is Write for what fill writes, which may be large.
func WriteFrom(path string, perm fs.FileMode, fill func(io.Writer) error) error {
	return WriteFile(path, perm, func(f *os.File) error { return fill(f) })
}

// WriteFile is WriteFrom for what fill looks at again, before anybody else sees it. fill
// does not close the file.
func WriteFile(path string, perm fs.FileMode, fill func(*os.File) error) error {
	dir, base := filepath.Split(path)
	f, err := os.CreateTemp(orHere(dir), TempPrefix+base+"-")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := complete(f, perm, fill); err != nil {
		return fmt.Errorf("write %s: %w", path, errors.Join(err, os.Remove(f.Name())))
	}
	return put(f.Name(), path)
}

func complete(f *os.File, perm fs.FileMode, fill func(*os.File) error) error {
	err := fill(f)
	if err == nil {
		err = f.Chmod(perm)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// Symlink makes path a symlink to target, replacing a symlink or a file that was
// there, by one rename. The target is written as given: make it relative to the
// folder of path, so that the whole can be moved.
func Symlink(target, path string) error {
	dir, base := filepath.Split(path)
	for {
		temp := filepath.Join(dir, TempPrefix+base+"-"+strconv.FormatUint(rand.Uint64(), 36))
		switch err := os.Symlink(target, temp); {
		case errors.Is(err, fs.ErrExist): // a leftover of this very name: take another
		case err != nil:
			return fmt.Errorf("link %s: %w", path, err)
		default:
			return put(temp, path)
		}
	}
}

// put renames temp to path and makes the new name durable.
func put(temp, path string) error {
	if err := os.Rename(temp, path); err != nil {
		return errors.Join(err, os.Remove(temp))
	}
	return SyncDir(filepath.Dir(path))
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error { return syncBy(dir, "folder", unix.Fsync) }

// SyncFS makes everything durable that was written to the file system of dir. It
// costs about what one fsync does, however many files there are.
func SyncFS(dir string) error { return syncBy(dir, "file system of", unix.Syncfs) }

func syncBy(dir, what string, sync func(fd int) error) error {
	f, err := os.Open(orHere(dir))
	if err != nil {
		return fmt.Errorf("sync %s: %w", what, err)
	}
	if err = sync(int(f.Fd())); err != nil {
		err = fmt.Errorf("sync %s %s: %w", what, dir, err)
	}
	return errors.Join(err, f.Close())
}

func orHere(dir string) string {
	if dir == "" {
		return "."
	}
	return dir
}

// Sweep removes what a crash left half made in dir. Nobody may be writing there.
func Sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("sweep %s: %w", dir, err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), TempPrefix) {
			continue
		}
		if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
			return fmt.Errorf("sweep %s: %w", dir, err)
		}
	}
	return nil
}
