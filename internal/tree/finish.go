package tree

import (
	"errors"
	"io/fs"
	"path"
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
	if w.opts.Spare != nil {
		if err := w.clear(".", w.opts.Spare.top); err != nil {
			return nil, err
		}
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
	index := &Index{top: w.build(".")}
	if w.otherwise != nil && index.Root() != w.expected {
		return nil, w.otherwise
	}
	return index, nil
}

// Expect has Finish return otherwise when the root's id is not id.
func (w *Writer) Expect(id ID, otherwise error) { w.expected, w.otherwise = id, otherwise }

// sealFolders gives folders the permissions they keep.
func (w *Writer) sealFolders() error {
	perm := uint32(0o555)
	if w.opts.Writable {
		perm = 0o755
	}
	for name := range w.drafts {
		dir, err := w.here.fd(name)
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		if err := errors.Join(unix.Fchmod(dir, perm), unix.Fstat(dir, &stat)); err != nil {
			return &fs.PathError{Op: "seal", Path: name, Err: err}
		}
		if name != "." {
			e, _ := w.known(name)
			e.Modified = stat.Mtim.Nano()
			w.set(e)
		}
	}
	for name, f := range w.kept {
		err := w.seal(name, perm)
		f.each(func(e Entry) bool {
			if err == nil && e.Mode.isFolder() {
				err = w.seal(e.Path, perm)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// seal seals a folder that was kept: its own time is as it was.
func (w *Writer) seal(name string, perm uint32) error {
	dir, err := w.here.fd(dirOf(name))
	if err == nil {
		err = unix.Fchmodat(dir, path.Base(name), perm, 0)
	}
	if err != nil {
		return &fs.PathError{Op: "seal", Path: name, Err: err}
	}
	return nil
}
