package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"

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
	if w.opts.Spare != nil {
		if err := w.dir(path.Dir(clean), Folder, ID{}); err != nil { // a folder that somebody changed is made anew, and then nothing in it is kept
			return false, err
		}
		e, ok := w.opts.Spare.Lookup(clean)
		if ok && e.Mode == mode && e.ID == id && w.intact(w.here, w.opts.Spare, e) {
			return true, w.keep(e)
		}
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

// keep takes over an entry of the spare, with all that is below it.
func (w *Writer) keep(e Entry) error {
	if err := w.keepOne(e); err != nil || !e.Mode.isFolder() {
		return err
	}
	for inner := range w.opts.Spare.Below(e.Path) {
		if err := w.keepOne(inner); err != nil {
			return err
		}
	}
	return nil
}

func (w *Writer) keepOne(e Entry) error {
	if i, there := w.at[e.Path]; there { // kept, or made, before: a tree may name it twice
		if was := w.entries[i].Mode; was.kind() != e.Mode.kind() {
			return &EntryError{e.Path, "is " + e.Mode.kind() + " and, before, was " + was.kind()}
		}
		return nil
	}
	if e.Mode.isFile() {
		if w.size.Bytes += e.Size; w.size.Bytes > w.opts.Limits.Bytes {
			return &LimitError{"bytes", w.opts.Limits.Bytes}
		}
	}
	if e.Mode.isLink() {
		target, err := readLink(w.here, e.Path)
		if err != nil {
			return err
		}
		w.links[e.Path] = target
	}
	return w.count(e)
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

func (w *Writer) shareBelow(dir, name string) error {
	for e := range w.opts.Base.Index.Below(dir) {
		to := path.Join(name, strings.TrimPrefix(strings.TrimPrefix(e.Path, dir), "/"))
		if dir == "." {
			to = path.Join(name, e.Path)
		}
		var err error
		if e.Mode.isFolder() {
			err = w.dir(to, e.Mode, e.ID)
		} else {
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
	if w.size.Bytes += e.Size; w.size.Bytes > w.opts.Limits.Bytes {
		return &LimitError{"bytes", w.opts.Limits.Bytes}
	}
	if why := unlike(w.there, e); why != "" {
		return &DamagedError{e.Path, why}
	}
	if w.opts.Base.Share && !w.opts.Writable {
		err := w.linkFrom(w.there, e.Path, clean)
		if err == nil {
			e.Path = clean
			w.entries[w.at[clean]] = e
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

// intact says whether an entry, with all below it, is on disk as the index says.
func (w *Writer) intact(in *folders, x *Index, e Entry) bool {
	if unlike(in, e) != "" {
		return false
	}
	if e.Mode.isFolder() {
		for inner := range x.Below(e.Path) {
			if unlike(in, inner) != "" {
				return false
			}
		}
	}
	return true
}

// clear removes what the spare had and the new tree has not.
func (w *Writer) clear() error {
	if w.opts.Spare == nil {
		return nil
	}
	for e := range w.opts.Spare.All() {
		if _, wanted := w.at[e.Path]; wanted {
			continue
		}
		dir := path.Dir(e.Path)
		if i, ok := w.at[dir]; dir != "." && (!ok || !w.entries[i].Mode.isFolder()) {
			continue // it went with the folder it was in
		}
		w.here.forget(e.Path)
		if err := w.here.root.RemoveAll(e.Path); err != nil {
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
