package tree

import (
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"golang.org/x/sys/unix"
)

// WriterOptions say what a Writer may build upon. The zero value writes into an
// empty folder.
type WriterOptions struct {
	Limits Limits
	Base   *Base  // a tree that is here already; nil: none
	Spare  *Index // what the folder holds already, to be turned into the new tree; nil: nothing
	// Writable leaves files and folders writable by their owner, for a build. Else they
	// are 0444, or 0555, when Finish returns.
	Writable bool
}

// A Base is a tree that is here already. The caller keeps Root and closes it.
type Base struct {
	Root  *os.Root
	Index *Index
	Share bool // its files may be hard-linked; else they are copied
}

// A Writer writes one tree. Names are relative, with slashes; folders above an
// entry are made when they are missing. It is used by one goroutine. Finish must
// be called before the tree is used; Close always.
type Writer struct {
	opts   WriterOptions
	size   Size
	drafts map[string]*draft  // the folders that are written, by path
	kept   map[string]*folder // those that are as they were in the spare, with all below them
	links  map[string]string  // the target of each symlink
	temps  map[string]bool    // files of Temp that were not adopted
	here   *folders
	there  *folders // of the base

	expected  ID    // of the root
	otherwise error // what Finish returns when it is another; nil: any will do
}

// NewWriter writes below root, which the caller keeps and closes.
func NewWriter(root *os.Root, opts WriterOptions) *Writer {
	opts.Limits = opts.Limits.OrDefault()
	w := &Writer{
		opts: opts, drafts: map[string]*draft{".": newDraft()}, kept: map[string]*folder{},
		links: map[string]string{}, temps: map[string]bool{}, here: newFolders(root),
	}
	if opts.Base != nil {
		w.there = newFolders(opts.Base.Root)
	}
	return w
}

// Base is the tree that the Writer may build upon; nil: none.
func (w *Writer) Base() *Base { return w.opts.Base }

// Size is what was written so far.
func (w *Writer) Size() Size { return w.size }

// Dir makes a folder. One that is there already is fine.
func (w *Writer) Dir(name string) error {
	clean, err := Clean(name)
	if err != nil || clean == "." {
		return err
	}
	return w.dir(clean, Folder, ID{})
}

// Module makes the folder of a submodule at a commit.
func (w *Writer) Module(name string, commit ID) error {
	clean, err := Clean(name)
	if err != nil || clean == "." {
		return err
	}
	return w.dir(clean, Module, commit)
}

func (w *Writer) dir(name string, mode Mode, id ID) error {
	if _, open := w.drafts[name]; open {
		return nil
	}
	if was, there := w.known(name); there {
		if !was.Mode.isFolder() {
			return &EntryError{name, "is a folder and, before, was " + was.Mode.kind()}
		}
		w.thaw(name)
		return nil
	}
	if err := w.dir(dirOf(name), Folder, ID{}); err != nil {
		return err
	}
	if err := w.count(Entry{Path: name, Mode: mode, ID: id}); err != nil {
		return err
	}
	if w.usable(name) {
		return nil
	}
	return w.make(name, func(dir int, base string) error { return unix.Mkdirat(dir, base, 0o755) })
}

// File writes a regular file. One of that name that is there already is replaced.
// size is that of the content, or negative when it is not known.
func (w *Writer) File(name string, mode Mode, size int64, content io.Reader) (err error) {
	if upon := w.opts.Base != nil || w.opts.Spare != nil; upon && size >= 0 && size <= inMemory {
		return w.small(name, mode, size, content)
	}
	clean, err := w.place(name, mode)
	if err != nil {
		return err
	}
	left := w.opts.Limits.Bytes - w.size.Bytes
	if size > left {
		return &LimitError{"bytes", w.opts.Limits.Bytes}
	}
	f, err := w.create(clean, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	var sum hash.Hash
	var to io.Writer = f
	if size >= 0 {
		sum = NewHash("blob", size)
		to = io.MultiWriter(f, sum)
	}
	n, err := io.Copy(to, io.LimitReader(content, left+1))
	w.size.Bytes += n
	switch {
	case err != nil:
		return err
	case n > left:
		return &LimitError{"bytes", w.opts.Limits.Bytes}
	case size >= 0 && n != size:
		return otherSize(name, n, size)
	}
	e := Entry{Path: clean, Mode: mode, Size: n}
	if sum != nil {
		e.ID = ID(sum.Sum(nil))
	} else if e.ID, err = w.hashOf(clean, n); err != nil {
		return err
	}
	return w.record(e, f)
}

// inMemory is how large a file may be that is read before it is written, to see
// whether it is here already.
const inMemory = 1 << 20

func (w *Writer) small(name string, mode Mode, size int64, content io.Reader) error {
	text, err := io.ReadAll(io.LimitReader(content, size+1))
	if err != nil {
		return err
	}
	if n := int64(len(text)); n != size {
		return otherSize(name, n, size)
	}
	id := ObjectID("blob", text)
	if here, err := w.Reuse(name, mode, id); here || err != nil {
		return err
	}
	return w.Put(name, mode, id, text)
}

func otherSize(name string, is, said int64) error {
	return &EntryError{name, fmt.Sprintf("has %d bytes where %d were said", is, said)}
}

// hashOf reads a file again.
func (w *Writer) hashOf(name string, size int64) (id ID, err error) {
	f, err := w.here.open(name)
	if err != nil {
		return id, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return BlobID(size, f)
}

// create makes a file with the permissions it is to keep: writing only needs them
// at the moment it is opened.
func (w *Writer) create(name string, mode Mode) (*os.File, error) {
	perm := w.perm(mode)
	var f *os.File
	err := w.make(name, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		if err == nil {
			f = os.NewFile(uintptr(fd), name)
		}
		return err
	})
	return f, err
}

func (w *Writer) perm(mode Mode) uint32 {
	switch {
	case w.opts.Writable && mode.isProgram():
		return 0o755
	case w.opts.Writable:
		return 0o644
	case mode.isProgram():
		return 0o555
	}
	return 0o444
}

// make calls fn to make name, which is not there yet, but for what a spare had there.
func (w *Writer) make(name string, fn func(dir int, base string) error) error {
	dir, err := w.here.fd(path.Dir(name))
	if err != nil {
		return err
	}
	err = fn(dir, path.Base(name))
	if errors.Is(err, fs.ErrExist) && w.opts.Spare != nil {
		w.here.forget(name)
		if err := w.here.root.RemoveAll(name); err != nil {
			return err
		}
		err = fn(dir, path.Base(name))
	}
	if err != nil {
		return &fs.PathError{Op: "write", Path: name, Err: err}
	}
	return nil
}

// record keeps an entry, and when its inode was changed last.
func (w *Writer) record(e Entry, f *os.File) error {
	info, err := f.Stat()
	if perm := fs.FileMode(w.perm(e.Mode)); err == nil && info.Mode().Perm() != perm { // a umask was in the way, or Temp made it
		err = f.Chmod(perm)
	}
	if err != nil {
		return err
	}
	e.Modified = info.ModTime().UnixNano()
	w.set(e)
	return nil
}

// Temp makes a file to write to before it is known where it goes. The caller closes
// it, and gives its name to Adopt. Finish removes what was not adopted.
func (w *Writer) Temp() (*os.File, string, error) {
	f, name, err := createTemp(w.here.root)
	if err == nil {
		w.temps[name] = true
	}
	return f, name, err
}

// Adopt moves a file that Temp made to its place. Its content has the size and the
// id that are given.
func (w *Writer) Adopt(name string, mode Mode, temp string, size int64, id ID) error {
	clean, err := w.place(name, mode)
	if err != nil {
		return err
	}
	if err := w.grow(Size{Bytes: size}); err != nil {
		return err
	}
	from, err := w.here.fd(".")
	if err != nil {
		return err
	}
	if err := w.make(clean, func(dir int, base string) error {
		var stat unix.Stat_t // RENAME_NOREPLACE would do, but is not known to all file systems
		if unix.Fstatat(dir, base, &stat, unix.AT_SYMLINK_NOFOLLOW) == nil {
			return unix.EEXIST
		}
		return unix.Renameat(from, temp, dir, base)
	}); err != nil {
		return err
	}
	delete(w.temps, temp)
	f, err := w.here.open(clean)
	if err != nil {
		return err
	}
	return errors.Join(w.record(Entry{Path: clean, Mode: mode, ID: id, Size: size}, f), f.Close())
}

// Symlink writes a symlink. A target that is absolute, or that leads out of the
// tree, is refused.
func (w *Writer) Symlink(name, target string) error {
	clean, err := w.place(name, Link)
	if err != nil {
		return err
	}
	if err := checkTarget(clean, target); err != nil {
		return err
	}
	w.links[clean] = target
	w.set(Entry{Path: clean, Mode: Link, ID: ObjectID("blob", []byte(target)), Size: int64(len(target))})
	return w.make(clean, func(dir int, base string) error { return unix.Symlinkat(target, dir, base) })
}

// Link writes a hard link to an entry that was written before.
func (w *Writer) Link(name, old string) error {
	from, err := Clean(old)
	if err != nil {
		return &EntryError{name, "is a hard link that leads out of the tree; an entry may only link within it"}
	}
	e, there := w.known(from)
	switch {
	case !there || e.Mode.isFolder():
		return &EntryError{name, "is a hard link to " + shown(old) + ", which is no file before it in the archive"}
	case e.Mode.isLink(): // elsewhere, the same target may lead elsewhere
		return w.Symlink(name, w.links[from])
	}
	clean, err := w.place(name, e.Mode)
	if err != nil || clean == from {
		return err
	}
	e.Path = clean
	w.set(e)
	return w.linkFrom(w.here, from, clean)
}

func (w *Writer) linkFrom(from *folders, old, name string) error {
	dir, err := from.fd(path.Dir(old))
	if err != nil {
		return err
	}
	return w.make(name, func(to int, base string) error { return unix.Linkat(dir, path.Base(old), to, base, 0) })
}

// place makes room for an entry that is no folder, and the folders above it.
func (w *Writer) place(name string, mode Mode) (string, error) {
	clean, err := Clean(name)
	if err != nil {
		return "", err
	}
	if clean == "." || strings.HasSuffix(name, "/") {
		return "", &EntryError{name, "is " + mode.kind() + " with the name of a folder"}
	}
	if err := w.dir(dirOf(clean), Folder, ID{}); err != nil {
		return "", err
	}
	was, there := w.known(clean)
	if !there {
		return clean, w.count(Entry{Path: clean, Mode: mode})
	}
	if was.Mode.kind() != mode.kind() {
		return "", &EntryError{name, "is " + mode.kind() + " and, before, was " + was.Mode.kind()}
	}
	delete(w.links, clean)
	return clean, w.here.root.Remove(clean)
}

// Close lets go of the folders that the Writer holds open. The tree stays.
func (w *Writer) Close() error {
	err := w.here.close()
	if w.there != nil {
		err = errors.Join(err, w.there.close())
	}
	return err
}
