package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// Copy writes the tree of fsys by w; Finish is left to the caller. A folder named
// .git is left out. Anything but files, folders and symlinks is refused.
func Copy(ctx context.Context, fsys fs.FS, w *Writer) error {
	return walk(ctx, fsys, func(e entry) error {
		switch {
		case e.mode.IsDir():
			return w.Dir(e.name)
		case e.mode.IsRegular():
			return e.read(func(r io.Reader) error { return w.File(e.name, FileMode(e.mode), -1, r) })
		}
		return w.Symlink(e.name, e.target)
	})
}

// FileMode is the mode of a file with these permissions.
func FileMode(mode fs.FileMode) Mode {
	if executable(mode) {
		return Program
	}
	return Plain
}

// Scan reads the whole tree of fsys into an Index. A folder named .git is left out;
// a device and the like are refused.
func Scan(ctx context.Context, fsys fs.FS, limits Limits) (*Index, error) {
	limits = limits.OrDefault()
	var entries []Entry
	var bytes int64
	err := walk(ctx, fsys, func(e entry) error {
		entry := Entry{Path: e.name, Mode: Folder, Modified: e.modified}
		switch {
		case e.mode.IsRegular():
			entry.Mode, entry.Size = FileMode(e.mode), e.size
			err := e.read(func(r io.Reader) (err error) { entry.ID, err = BlobID(e.size, r); return err })
			if err != nil {
				return fmt.Errorf("read %s: %w", shown(e.name), err)
			}
		case e.mode&fs.ModeSymlink != 0:
			entry.Mode, entry.Size, entry.ID = Link, int64(len(e.target)), ObjectID("blob", []byte(e.target))
		}
		entries = append(entries, entry)
		if bytes += entry.Size; bytes > limits.Bytes {
			return &LimitError{"bytes", limits.Bytes}
		}
		if len(e.name) > maxPath {
			return &LimitError{"path", maxPath}
		}
		if len(entries) > limits.Files {
			return &LimitError{"entries", int64(limits.Files)}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return newIndex(entries), nil
}

// isRepository says of a name whether git keeps things of its own there: it is no content.
func isRepository(name string) bool { return strings.EqualFold(path.Base(name), ".git") }

func executable(mode fs.FileMode) bool { return mode&0o111 != 0 }

type entry struct {
	fsys     fs.FS
	name     string
	mode     fs.FileMode
	size     int64
	target   string // of a symlink
	modified int64
}

// read calls use with the content of a file.
func (e entry) read(use func(io.Reader) error) (err error) {
	f, err := e.fsys.Open(e.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return use(f)
}

// walk calls fn for each entry below fsys, in an order that only depends on the names.
func walk(ctx context.Context, fsys fs.FS, fn func(entry) error) error {
	return fs.WalkDir(fsys, ".", func(name string, d fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || name == "." {
			return err
		}
		if !utf8.ValidString(name) { // it could not be opened through fsys
			_, err := Clean(name)
			return err
		}
		if isRepository(name) {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // a worktree's or a submodule's pointer
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{fsys: fsys, name: name, mode: info.Mode(), size: info.Size(), modified: info.ModTime().UnixNano()}
		switch {
		case e.mode&fs.ModeSymlink != 0:
			if e.target, err = fs.ReadLink(fsys, name); err != nil {
				return err
			}
		case !e.mode.IsDir() && !e.mode.IsRegular():
			return &EntryError{name, "is " + kindName(e.mode) + ", which is no content; remove it"}
		}
		return fn(e)
	})
}
