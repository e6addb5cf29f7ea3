package tree

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"path"
	"strings"
	"unicode/utf8"
)

// Copy writes the tree of fsys by w, and finishes it. A folder named .git is left
// out. Anything but files, folders and symlinks is refused.
func Copy(ctx context.Context, fsys fs.FS, w *Writer) error {
	err := walk(ctx, fsys, func(e entry) error {
		switch {
		case e.mode.IsDir():
			return w.Dir(e.name)
		case e.mode.IsRegular():
			return e.read(func(r io.Reader) error { return w.File(e.name, executable(e.mode), r) })
		}
		return w.Symlink(e.name, e.target)
	})
	if err != nil {
		return err
	}
	return w.Finish()
}

// Hash is a fingerprint of the tree of fsys: its names, types, contents, link
// targets and executable bits, and nothing else. A folder named .git is left out.
func Hash(ctx context.Context, fsys fs.FS) (string, error) {
	sum := sha256.New()
	err := walk(ctx, fsys, func(e entry) error {
		switch {
		case e.mode.IsDir():
			return record(sum, "dir", e.name, nil)
		case e.mode.IsRegular():
			content := sha256.New()
			if err := e.read(func(r io.Reader) error { _, err := io.Copy(content, r); return err }); err != nil {
				return err
			}
			kind := "file"
			if executable(e.mode) {
				kind = "program"
			}
			return record(sum, kind, e.name, content.Sum(nil))
		}
		return record(sum, "link", e.name, []byte(e.target))
	})
	return hex.EncodeToString(sum.Sum(nil)), err
}

// record adds one entry, each part with its length before it: no two trees read alike.
func record(sum hash.Hash, kind, name string, content []byte) error {
	for _, part := range [][]byte{[]byte(kind), []byte(name), content} {
		if err := binary.Write(sum, binary.BigEndian, int64(len(part))); err != nil {
			return err
		}
		if _, err := sum.Write(part); err != nil {
			return err
		}
	}
	return nil
}

func executable(mode fs.FileMode) bool { return mode&0o111 != 0 }

// Measure is how big the tree of fsys is.
func Measure(ctx context.Context, fsys fs.FS) (Size, error) {
	var size Size
	err := walk(ctx, fsys, func(e entry) error {
		size.Entries++
		if e.mode.IsRegular() {
			size.Files++
			size.Bytes += e.size
		}
		return nil
	})
	return size, err
}

type entry struct {
	fsys   fs.FS
	name   string
	mode   fs.FileMode
	size   int64
	target string // of a symlink
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
		if strings.EqualFold(path.Base(name), ".git") {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil // a worktree's or a submodule's pointer
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		e := entry{fsys: fsys, name: name, mode: info.Mode(), size: info.Size()}
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
