package tree

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// mostOpen is how many folders of a tree are held open.
const mostOpen = 200

// folders holds folders of a tree open, so that a file costs one call that names it
// alone. They are opened through the root: no link leads out of it.
type folders struct {
	root *os.Root
	held map[string]*os.File
	last string // whose descriptor was handed out last
}

func newFolders(root *os.Root) *folders { return &folders{root: root, held: map[string]*os.File{}} }

// fd is a descriptor of a folder. It is good until the call after the next: two may
// be used together.
func (f *folders) fd(dir string) (int, error) {
	d, ok := f.held[dir]
	if !ok {
		if err := f.makeRoom(); err != nil {
			return -1, err
		}
		var err error
		if d, err = f.root.Open(dir); err != nil {
			return -1, err
		}
		f.held[dir] = d
	}
	f.last = dir
	return int(d.Fd()), nil
}

// makeRoom closes half of what is held when that is too much: any but the last.
func (f *folders) makeRoom() error {
	if len(f.held) < mostOpen {
		return nil
	}
	for name, d := range f.held {
		if len(f.held) < mostOpen/2 {
			break
		}
		if name == f.last {
			continue
		}
		delete(f.held, name)
		if err := d.Close(); err != nil {
			return err
		}
	}
	return nil
}

// open opens a file for reading.
func (f *folders) open(name string) (*os.File, error) {
	dir, err := f.fd(path.Dir(name))
	if err != nil {
		return nil, err
	}
	fd, err := unix.Openat(dir, path.Base(name), unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// forget lets go of a folder that is to be removed, and of those within.
func (f *folders) forget(dir string) {
	for name, d := range f.held {
		if name == dir || strings.HasPrefix(name, dir+"/") {
			delete(f.held, name)
			d.Close() //nolint:errcheck // a folder that was only read
		}
	}
}

func (f *folders) close() error {
	var err error
	for _, d := range f.held {
		err = errors.Join(err, d.Close())
	}
	f.held = nil
	return err
}

// createTemp makes a new file in the root.
func createTemp(root *os.Root) (*os.File, string, error) {
	name := "tmp-" + strconv.FormatUint(rand.Uint64(), 36)
	f, err := root.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	return f, name, err
}
