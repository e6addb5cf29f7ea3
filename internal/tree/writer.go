package tree

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"
)

// A Writer writes one tree into an empty folder. Names are relative, with
// slashes; folders above an entry are made when they are missing. It is used by
// one goroutine. Call Finish before the tree is used.
type Writer struct {
	root   *os.Root
	limits Limits
	size   Size
	kinds  map[string]fs.FileMode // what stands under each name: the type bits
	links  map[string]string      // the target of each symlink
}

// NewWriter writes below root, which the caller keeps and closes.
func NewWriter(root *os.Root, limits Limits) *Writer {
	return &Writer{root: root, limits: limits.OrDefault(), kinds: map[string]fs.FileMode{}, links: map[string]string{}}
}

// Size is what was written so far.
func (w *Writer) Size() Size { return w.size }

// Dir makes a folder. One that is there already is fine.
func (w *Writer) Dir(name string) error {
	clean, err := Clean(name)
	if err != nil || clean == "." {
		return err
	}
	return w.dir(clean)
}

func (w *Writer) dir(name string) error {
	if name == "." {
		return nil
	}
	if kind, there := w.kinds[name]; there {
		if kind.IsDir() {
			return nil
		}
		return &EntryError{name, "is a folder and, before, was " + kindName(kind)}
	}
	if err := w.dir(path.Dir(name)); err != nil {
		return err
	}
	if err := w.count(name, fs.ModeDir); err != nil {
		return err
	}
	return w.root.Mkdir(name, 0o755)
}

// File writes a regular file. One of that name that is there already is replaced.
func (w *Writer) File(name string, executable bool, content io.Reader) (err error) {
	clean, err := w.place(name, 0)
	if err != nil {
		return err
	}
	perm := fs.FileMode(0o644)
	if executable {
		perm = 0o755
	}
	f, err := w.root.OpenFile(clean, os.O_WRONLY|os.O_CREATE|os.O_EXCL, perm)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	left := w.limits.Bytes - w.size.Bytes
	n, err := io.Copy(f, io.LimitReader(content, left+1))
	w.size.Bytes += n
	if err == nil && n > left {
		err = &LimitError{"bytes", w.limits.Bytes}
	}
	return err
}

// Symlink writes a symlink. A target that is absolute, or that leads out of the
// tree, is refused.
func (w *Writer) Symlink(name, target string) error {
	clean, err := w.place(name, fs.ModeSymlink)
	if err != nil {
		return err
	}
	if err := checkTarget(clean, target); err != nil {
		return err
	}
	w.links[clean] = target
	return w.root.Symlink(target, clean)
}

// Link writes a hard link to an entry that was written before.
func (w *Writer) Link(name, old string) error {
	from, err := Clean(old)
	if err != nil {
		return &EntryError{name, "is a hard link that leads out of the tree; an entry may only link within it"}
	}
	kind, there := w.kinds[from]
	switch {
	case !there || kind.IsDir():
		return &EntryError{name, "is a hard link to " + shown(old) + ", which is no file before it in the archive"}
	case kind&fs.ModeSymlink != 0: // elsewhere, the same target may lead elsewhere
		return w.Symlink(name, w.links[from])
	}
	clean, err := w.place(name, 0)
	if err != nil || clean == from {
		return err
	}
	return w.root.Link(from, clean)
}

// Finish checks what only shows when the tree is whole: that no chain of links
// leads out of it.
func (w *Writer) Finish() error {
	for name := range w.links {
		switch _, err := w.root.Stat(name); {
		case err == nil, errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ELOOP), errors.Is(err, syscall.ENOTDIR):
		default:
			return &EntryError{name, "is a symlink that leads out of the tree by way of another; an entry may only link within it"}
		}
	}
	return nil
}

// place makes room for an entry that is no folder, and the folders above it.
func (w *Writer) place(name string, kind fs.FileMode) (string, error) {
	clean, err := Clean(name)
	if err != nil {
		return "", err
	}
	if clean == "." || strings.HasSuffix(name, "/") {
		return "", &EntryError{name, "is " + kindName(kind) + " with the name of a folder"}
	}
	if err := w.dir(path.Dir(clean)); err != nil {
		return "", err
	}
	before, there := w.kinds[clean]
	switch {
	case !there:
		return clean, w.count(clean, kind)
	case before != kind:
		return "", &EntryError{name, "is " + kindName(kind) + " and, before, was " + kindName(before)}
	}
	delete(w.links, clean)
	return clean, w.root.Remove(clean)
}

func (w *Writer) count(name string, kind fs.FileMode) error {
	if w.size.Entries++; w.size.Entries > w.limits.Files {
		return &LimitError{"entries", int64(w.limits.Files)}
	}
	if kind == 0 {
		w.size.Files++
	}
	w.kinds[name] = kind
	return nil
}

// Clean returns a name as it is written below a folder, "." for the folder
// itself. A name that is absolute, or has a .. in it, is refused: so is one that
// a program run in the tree would trust.
func Clean(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return "", &EntryError{name, "is an absolute path; names must be relative to the tree"}
	}
	if len(name) > maxPath {
		return "", &LimitError{"path", maxPath}
	}
	if !utf8.ValidString(name) { // fs.FS knows no other names
		return "", &EntryError{name, "is not UTF-8; rename it, or make the archive with UTF-8 names"}
	}
	parts := slices.DeleteFunc(strings.Split(name, "/"), func(p string) bool { return p == "" || p == "." })
	for _, p := range parts {
		switch {
		case p == "..":
			return "", &EntryError{name, "leads out of the tree by a .. in it"}
		case strings.EqualFold(p, ".git"):
			return "", &EntryError{name, "is named .git, which programs run there would obey; leave it out"}
		case strings.ContainsRune(p, 0) || len(p) > 255:
			return "", &EntryError{name, "is no name a file can have here"}
		}
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

// checkTarget refuses a symlink that, read alone, leads out of the tree.
func checkTarget(name, target string) error {
	switch {
	case target == "" || len(target) > maxPath || strings.ContainsRune(target, 0):
		return &EntryError{name, "is a symlink to no name a file can have"}
	case strings.HasPrefix(target, "/"):
		return &EntryError{name, "is a symlink to the absolute path " + shown(target) + "; make it relative, within the tree"}
	}
	if to := path.Join(path.Dir(name), target); to == ".." || strings.HasPrefix(to, "../") {
		return &EntryError{name, "is a symlink that leads out of the tree, to " + shown(target) + "; make it point within it"}
	}
	return nil
}

func kindName(kind fs.FileMode) string {
	switch {
	case kind.IsDir():
		return "a folder"
	case kind&fs.ModeSymlink != 0:
		return "a symlink"
	case kind&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case kind&fs.ModeSocket != 0:
		return "a socket"
	case kind&fs.ModeDevice != 0:
		return "a device"
	case kind.IsRegular():
		return "a file"
	}
	return fmt.Sprintf("of the kind %v", kind.Type())
}
