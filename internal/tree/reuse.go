package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"

	"golang.org/x/sys/unix"
)

// A DamagedError says that a tree on disk is no longer what its index says.
type DamagedError struct{ Path, Why string }

func (e *DamagedError) Error() string { return fmt.Sprintf("%s on disk %s", shown(e.Path), e.Why) }

// Reuse puts an entry there from what is here already: it is kept where a spare has
// it, or linked or copied from the base. A folder is put there with all it holds.
// It returns false when it is not here, and a *DamagedError when the base turns out
// not to be what its index says.
func (w *Writer) Reuse(name string, mode Mode, id ID) (bool, error) {
	clean, err := Clean(name)
	if err != nil {
		return false, err
	}
	if kept, err := w.fromSpare(clean, mode, id); kept || err != nil {
		return kept, err
	}
	if w.opts.Base == nil {
		return false, nil
	}
	from := w.opts.Base.Index
	if clean == "." {
		if id != from.Root() {
			return false, nil
		}
		return true, w.shareBelow(".", ".")
	}
	e, ok := from.Lookup(clean)
	if !ok || e.ID != id || !e.Mode.alike(mode) {
		if e, ok = from.Find(id); !ok || !e.Mode.alike(mode) || e.Mode == Module != (mode == Module) {
			return false, nil
		}
	}
	e.Mode = mode // two that are alike may be written differently
	return true, w.share(e, clean)
}

// fromSpare keeps what the spare has under that name, if it is the same.
func (w *Writer) fromSpare(name string, mode Mode, id ID) (bool, error) {
	if w.opts.Spare == nil {
		return false, nil
	}
	if err := w.dir(dirOf(name), Folder, ID{}); err != nil { // a folder that somebody changed is made anew, and then nothing in it is kept
		return false, err
	}
	e, ok := w.opts.Spare.Lookup(name)
	if !ok || e.Mode != mode || e.ID != id || !w.intact(e) {
		return false, nil
	}
	return true, w.keep(e)
}

// keep takes over an entry of the spare, with all that is below it.
func (w *Writer) keep(e Entry) error {
	if was, there := w.known(e.Path); there { // kept, or made, before: a tree may name it twice
		if was.Mode.kind() != e.Mode.kind() {
			return &EntryError{e.Path, "is " + e.Mode.kind() + " and, before, was " + was.Mode.kind()}
		}
		return nil
	}
	switch {
	case e.Mode.isFolder():
		return w.keepFolder(e)
	case e.Mode.isLink():
		if err := w.keepLink(e); err != nil {
			return err
		}
	default:
		if err := w.grow(Size{Bytes: e.Size}); err != nil {
			return err
		}
	}
	return w.count(e)
}

func (w *Writer) keepFolder(e Entry) (err error) {
	f := w.opts.Spare.top.at(e.Path)
	if err := errors.Join(w.grow(f.size), w.count(e)); err != nil {
		return err
	}
	delete(w.drafts, e.Path)
	w.kept[e.Path] = f
	if f.links > 0 {
		f.each(func(inner Entry) bool {
			if inner.Mode.isLink() {
				err = w.keepLink(inner)
			}
			return err == nil
		})
	}
	return err
}

func (w *Writer) keepLink(e Entry) error {
	target, err := readLink(w.here, e.Path)
	w.links[e.Path] = target
	return err
}

// share links or copies an entry of the base to name.
func (w *Writer) share(e Entry, name string) error {
	switch {
	case e.Mode.isFolder():
		if err := w.dir(name, e.Mode, e.ID); err != nil {
			return err
		}
		return w.shareBelow(e.Path, name)
	case e.Mode.isLink():
		target, err := readLink(w.there, e.Path)
		if err != nil {
			return err
		}
		if ObjectID("blob", []byte(target)) != e.ID {
			return &DamagedError{e.Path, "leads elsewhere"}
		}
		return w.Symlink(name, target)
	}
	return w.shareFile(e, name)
}

// shareBelow puts what a folder of the base holds below name.
func (w *Writer) shareBelow(dir, name string) error {
	for _, e := range w.opts.Base.Index.top.at(dir).entries {
		to := path.Join(name, path.Base(e.Path))
		kept, err := w.fromSpare(to, e.Mode, e.ID)
		if !kept && err == nil {
			err = w.share(e, to)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) shareFile(e Entry, name string) error {
	clean, err := w.place(name, e.Mode)
	if err != nil {
		return err
	}
	if err := w.grow(Size{Bytes: e.Size}); err != nil {
		return err
	}
	if why := unlike(w.there, e); why != "" {
		return &DamagedError{e.Path, why}
	}
	if w.opts.Base.Share && !w.opts.Writable {
		err := w.linkFrom(w.there, e.Path, clean)
		if err == nil {
			e.Path = clean
			w.set(e)
			return nil
		}
		// Too many links, or a file system without them: a copy does it too.
		if !errors.Is(err, unix.EMLINK) && !errors.Is(err, unix.EXDEV) && !errors.Is(err, unix.EPERM) {
			return err
		}
	}
	return w.copyFile(e, clean)
}

// copyFile copies a file of the base; where the file system can, by sharing its blocks.
func (w *Writer) copyFile(e Entry, name string) (err error) {
	from, err := w.there.open(e.Path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	to, err := w.create(name, e.Mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	n, err := io.Copy(to, from)
	if err != nil {
		return err
	}
	if n != e.Size {
		return &DamagedError{e.Path, "changed while it was copied"}
	}
	e.Path = name
	return w.record(e, to)
}

// usable says whether the folder is there in the spare, as it was left. One that
// somebody changed is taken away.
func (w *Writer) usable(name string) bool {
	if w.opts.Spare == nil {
		return false
	}
	e, ok := w.opts.Spare.Lookup(name)
	return ok && e.Mode.isFolder() && unlike(w.here, e) == ""
}

// intact says whether an entry of the spare is on disk as the index says. In a folder,
// that nothing came or went at any depth; files that were changed in place are found
// when the tree is checked the next time, as they are in one that is served.
func (w *Writer) intact(e Entry) bool {
	if unlike(w.here, e) != "" {
		return false
	}
	return !e.Mode.isFolder() || w.opts.Spare.top.at(e.Path).each(func(inner Entry) bool {
		return inner.Mode.isFile() || unlike(w.here, inner) == ""
	})
}

// clear removes what the spare had and the new tree has not.
func (w *Writer) clear(dir string, was *folder) error {
	if _, kept := w.kept[dir]; kept {
		return nil
	}
	for _, e := range was.entries {
		var err error
		switch now, wanted := w.known(e.Path); {
		case !wanted:
			w.here.forget(e.Path)
			err = w.here.root.RemoveAll(e.Path)
		case e.Mode.isFolder() && now.Mode.isFolder():
			err = w.clear(e.Path, was.within[e.Path])
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// unlike says in what an entry on disk differs from what its index says, as far as
// its inode tells; empty: in nothing.
func unlike(in *folders, e Entry) string {
	dir, err := in.fd(path.Dir(e.Path))
	if err != nil {
		return "cannot be reached: " + err.Error()
	}
	var stat unix.Stat_t
	switch err := unix.Fstatat(dir, path.Base(e.Path), &stat, unix.AT_SYMLINK_NOFOLLOW); {
	case errors.Is(err, fs.ErrNotExist):
		return "is gone"
	case err != nil:
		return "cannot be looked at: " + err.Error()
	}
	kind := stat.Mode & unix.S_IFMT
	switch {
	case e.Mode.isFolder() && kind != unix.S_IFDIR, e.Mode.isLink() && kind != unix.S_IFLNK, e.Mode.isFile() && kind != unix.S_IFREG:
		return "is no longer " + e.Mode.kind()
	case e.Mode.isFile() && e.Mode.isProgram() != (stat.Mode&0o100 != 0):
		return "has another executable bit"
	case !e.Mode.isFolder() && stat.Size != e.Size:
		return fmt.Sprintf("has %d bytes and had %d", stat.Size, e.Size)
	case e.Modified != 0 && stat.Mtim.Nano() != e.Modified:
		return "was changed"
	}
	if e.Mode.isLink() { // its time is not kept, since a link cannot be opened
		if target, err := readLink(in, e.Path); err != nil || ObjectID("blob", []byte(target)) != e.ID {
			return "leads elsewhere"
		}
	}
	return ""
}

func readLink(in *folders, name string) (string, error) {
	dir, err := in.fd(path.Dir(name))
	if err != nil {
		return "", err
	}
	target := make([]byte, maxPath+1)
	n, err := unix.Readlinkat(dir, path.Base(name), target)
	if err != nil {
		return "", &fs.PathError{Op: "readlink", Path: name, Err: err}
	}
	return string(target[:n]), nil
}
