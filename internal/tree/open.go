package tree

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// Open opens a file that was written, or that Temp made, for reading. The caller
// closes it before the Writer is closed.
func (w *Writer) Open(name string) (*os.File, error) {
	clean, err := Clean(name)
	if err != nil {
		return nil, err
	}
	return w.here.open(clean)
}

// Put writes a regular file that is in memory, and whose id the caller knows. It is
// what File is, with as few calls as a file takes: there may be very many.
func (w *Writer) Put(name string, mode Mode, id ID, content []byte) error {
	clean, err := w.place(name, mode)
	if err != nil {
		return err
	}
	if err := w.grow(Size{Bytes: int64(len(content))}); err != nil {
		return err
	}
	e := Entry{Path: clean, Mode: mode, ID: id, Size: int64(len(content))}
	perm := w.perm(mode)
	err = w.make(clean, func(dir int, base string) error {
		fd, err := unix.Openat(dir, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, perm)
		if err != nil {
			return err
		}
		var stat unix.Stat_t
		err = writeAll(fd, content)
		if err == nil {
			err = unix.Fstat(fd, &stat)
		}
		if err == nil && stat.Mode&uint32(fs.ModePerm) != perm { // a umask was in the way
			err = unix.Fchmod(fd, perm)
		}
		e.Modified = stat.Mtim.Nano()
		return errors.Join(err, unix.Close(fd))
	})
	w.set(e)
	return err
}

func writeAll(fd int, content []byte) error {
	for len(content) > 0 {
		n, err := unix.Write(fd, content)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		content = content[max(0, n):]
	}
	return nil
}
