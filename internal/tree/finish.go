package tree

import (
	"errors"
	"io/fs"
	"slices"
	"syscall"

	"golang.org/x/sys/unix"
)

// Finish removes what a spare had besides, checks what only shows when the tree is
// whole (that no chain of links leads out of it), seals the tree, and says what it
// holds.
func (w *Writer) Finish() (*Index, error) {
	for name := range w.temps {
		if err := w.here.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if err := w.clear(); err != nil {
		return nil, err
	}
	for name := range w.links {
		switch _, err := w.here.root.Stat(name); {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.ENAMETOOLONG):
		default:
			return nil, &EntryError{name, "is a symlink that leads out of the tree by way of another; an entry may only link within it"}
		}
	}
	if err := w.sealFolders(); err != nil {
		return nil, err
	}
	index := newIndex(slices.Clip(w.entries))
	if w.otherwise != nil && index.Root() != w.expected {
		return nil, w.otherwise
	}
	return index, nil
}

// Expect has Finish return otherwise when the root's id is not id.
func (w *Writer) Expect(id ID, otherwise error) { w.expected, w.otherwise = id, otherwise }

// sealFolders gives folders the permissions they keep, those within first.
func (w *Writer) sealFolders() error {
	perm := uint32(0o555)
	if w.opts.Writable {
		perm = 0o755
	}
	for i := len(w.entries) - 1; i >= 0; i-- {
		e := &w.entries[i]
		if !e.Mode.isFolder() {
			continue
		}
		dir, err := w.here.fd(e.Path)
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := errors.Join(unix.Fchmod(dir, perm), unix.Fstat(dir, &stat)); err != nil {
			return &fs.PathError{Op: "seal", Path: e.Path, Err: err}
		}
		e.Modified = stat.Mtim.Nano()
	}
	root, err := w.here.fd(".")
	if err != nil {
		return err
	}
	return unix.Fchmod(root, perm)
}
