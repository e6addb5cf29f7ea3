// Package logfile keeps a log in a file that does not grow without bound.
package logfile

import (
	"errors"
	"fmt"
	"os"
	"sync"
)

// olderSuffix ends the name of what was written before the newest.
const olderSuffix = ".1"

// A File is a log on disk: what is written to it last is kept, between half of its
// limit and the whole. It may be written by several goroutines, and by one process.
type File struct {
	path string
	half int64 // of the limit, in bytes: the size at which the file is set aside

	mu   sync.Mutex
	f    *os.File
	size int64
}

// Open opens the log at path, readable by its owner alone, and goes on behind what an
// earlier process wrote. limit is in bytes; half of it is in path, the rest in path.1.
// The caller closes it.
func Open(path string, limit int64) (*File, error) {
	l := &File{path: path, half: limit / 2}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("open log: %w", err)
	}
	return l, nil
}

func (l *File) open() error {
	f, err := os.OpenFile(l.path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.f, l.size = f, info.Size()
	return nil
}

// Write appends p, whole: a line is never in two files.
func (l *File) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.size > 0 && l.size+int64(len(p)) > l.half {
		if err := l.turn(); err != nil {
			return 0, fmt.Errorf("turn log over: %w", err)
		}
	}
	n, err := l.f.Write(p)
	l.size += int64(n)
	return n, err
}

// turn sets the file aside, over the one that was set aside before, and begins another.
func (l *File) turn() error {
	if err := os.Rename(l.path, l.path+olderSuffix); err != nil {
		return err
	}
	old := l.f
	if err := l.open(); err != nil {
		return err
	}
	return old.Close()
}

// Close closes the file.
func (l *File) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.f.Close()
}
