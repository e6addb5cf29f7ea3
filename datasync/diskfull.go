package datasync

import (
	"errors"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"
	"popup/internal/tree"
)

// A DiskFullError says that there was no room for what was to be written.
type DiskFullError struct {
	Dir  string
	Free int64 // bytes free when it was noticed, after what was written was removed; negative: not known
	Err  error
}

func (e *DiskFullError) Error() string {
	text := "the disk is full: " + e.Dir + " has no room for the next revision"
	if e.Free >= 0 {
		text += fmt.Sprintf(" (%s are free)", tree.Bytes(e.Free))
	}
	return text + "; free some space, or use a larger disk"
}

func (e *DiskFullError) Unwrap() error { return e.Err }

// diskFull makes a DiskFullError of an error that came about for want of room.
func diskFull(dir string, err error) error {
	if !isDiskFull(err) {
		return err
	}
	free := int64(-1)
	var stat unix.Statfs_t
	if unix.Statfs(dir, &stat) == nil {
		free = int64(stat.Bavail) * stat.Bsize
	}
	return &DiskFullError{Dir: dir, Free: free, Err: err}
}

func isDiskFull(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}
