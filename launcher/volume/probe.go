package volume

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// What is read of a disk before it is called blank: where everything that anybody
// formats a disk with writes something.
const (
	probedHead = 4 << 20
	probedTail = 1 << 20
)

// What a disk holds; anything else is what a sentence calls it.
const (
	holdsNothing = ""
	holdsExt4    = "ext4"
	holdsData    = "data that is no file system"
)

// look reads what the disk holds. Nobody else may use it.
func (v Volume) look(d disk) (holds string, err error) {
	file, err := os.OpenFile(d.path, os.O_RDONLY|unix.O_EXCL, 0)
	if errors.Is(err, unix.EBUSY) {
		return "", v.refuse(d.path+" is in use by something else", "take it out of RAID, LVM, swap or /etc/fstab")
	}
	if err == nil {
		var size int64
		if size, err = file.Seek(0, io.SeekEnd); err == nil && size < probedHead+probedTail {
			err = fmt.Errorf("it has only %d bytes", size)
		}
		if err == nil {
			holds, err = probe(file, size)
		}
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return "", &Error{ID: v.ID, Why: d.path + " cannot be read", Err: err, Hint: "look for what the kernel says of " + d.name + " in dmesg"}
	}
	return holds, nil
}

// signatures are what file systems and the like are known by.
var signatures = []struct {
	at   int64
	mark string
	is   string
}{
	{510, "\x55\xaa", "a partition table"},
	{512, "EFI PART", "a partition table"},
	{4096, "EFI PART", "a partition table"},
	{0, "XFSB", "an XFS"},
	{0, "LUKS\xba\xbe", "an encrypted disk (LUKS)"},
	{512, "LABELONE", "a part of an LVM"},
	{4086, "SWAPSPACE2", "swap"},
	{0x10040, "_BHRfS_M", "a Btrfs"},
	{0x438, "\x53\xef", holdsExt4}, // the last: a partition table beside it makes it none
}

// probe says what a disk of that size holds.
func probe(r io.ReaderAt, size int64) (string, error) {
	for _, s := range signatures {
		mark := make([]byte, len(s.mark))
		if _, err := r.ReadAt(mark, s.at); err != nil {
			return "", err
		}
		if string(mark) == s.mark {
			return s.is, nil
		}
	}
	for _, part := range []struct{ from, to int64 }{{0, probedHead}, {size - probedTail, size}} {
		blank, err := isBlank(r, part.from, part.to)
		if err != nil || !blank {
			return holdsData, err
		}
	}
	return holdsNothing, nil
}

// isBlank says whether all from one byte until before another is zero.
func isBlank(r io.ReaderAt, from, to int64) (bool, error) {
	const chunk = 64 << 10
	read, zero := make([]byte, chunk), make([]byte, chunk)
	for at := from; at < to; at += chunk {
		n := min(chunk, to-at)
		if _, err := r.ReadAt(read[:n], at); err != nil {
			return false, err
		}
		if !bytes.Equal(read[:n], zero[:n]) {
			return false, nil
		}
	}
	return true, nil
}
