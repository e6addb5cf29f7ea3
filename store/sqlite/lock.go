package sqlite

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockName = "console.lock"
	// What is being made begins like this, and the next who claims the folder removes it.
	tempPrefix = "tmp-console-"
)

// claim makes the folder where it is missing and takes its lock, which is held until
// the file is closed, or the process is gone.
func claim(dir string) (lock *os.File, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	lock, err = os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|os.O_CREATE, private)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, lock.Close())
			lock = nil
		}
	}()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); errors.Is(err, syscall.EWOULDBLOCK) {
		return lock, fmt.Errorf("%s is in use by another console%s: stop that one, or choose another folder", dir, holder(lock))
	} else if err != nil {
		return lock, fmt.Errorf("lock %s: %w", lock.Name(), err)
	}
	if err := lock.Truncate(0); err != nil {
		return lock, err
	}
	if _, err := lock.WriteAt(strconv.AppendInt(nil, int64(os.Getpid()), 10), 0); err != nil {
		return lock, err
	}
	return lock, sweep(dir)
}

// holder names the process that has the lock, as far as that is known.
func holder(lock *os.File) string {
	text, err := io.ReadAll(io.NewSectionReader(lock, 0, 20))
	if pid, perr := strconv.Atoi(string(bytes.TrimSpace(text))); err == nil && perr == nil {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}

// sweep removes what a crash left half made.
func sweep(dir string) error {
	entries, err := os.ReadDir(dir)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, e.Name())))
		}
	}
	return err
}
