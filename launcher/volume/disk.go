package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// A disk is a whole one, as the kernel names it.
type disk struct {
	name, path string
	device     string // major:minor
}

// longestSerial is how much of a serial number virtio shows.
const longestSerial = 20

// find is the one disk whose serial number is the volume's.
func (v Volume) find() (disk, error) {
	sys, dev := firstOf(v.Sys, "/sys"), firstOf(v.Dev, "/dev")
	names, err := os.ReadDir(filepath.Join(sys, "block"))
	if err != nil {
		return disk{}, &Error{ID: v.ID, Why: "this machine's disks cannot be listed", Err: err}
	}
	var found, others []string
	xen := false
	for _, n := range names {
		serial := serialOf(filepath.Join(sys, "block", n.Name()))
		switch {
		case v.isSerial(serial):
			found = append(found, n.Name())
		case serial != "":
			others = append(others, n.Name()+" is "+serial)
		case strings.HasPrefix(n.Name(), "xvd"):
			xen = true
		}
	}
	switch {
	case len(found) > 1:
		return disk{}, v.refuse("several disks have its serial number: "+strings.Join(found, ", "), "detach what is not the state's")
	case len(found) == 0 && xen:
		return disk{}, v.refuse("this machine's disks (xvd…) do not say which volume they are", "take a type of instance that has NVMe or virtio disks")
	case len(found) == 0:
		slices.Sort(others)
		return disk{}, &Error{ID: v.ID, Away: true, Why: "no disk has its serial number" + among(others), Hint: "attach it to this instance"}
	}
	d := disk{name: found[0], path: filepath.Join(dev, found[0])}
	var stat unix.Stat_t
	err = unix.Stat(d.path, &stat)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return disk{}, &Error{ID: v.ID, Away: true, Why: "its device is not there yet", Err: fmt.Errorf("%s: %w", d.path, err)}
	case err != nil:
		return disk{}, &Error{ID: v.ID, Why: "its device cannot be looked at", Err: fmt.Errorf("%s: %w", d.path, err)}
	case stat.Mode&syscall.S_IFMT != syscall.S_IFBLK:
		return disk{}, v.refuse(d.path+" is not a disk", "")
	}
	d.device = fmt.Sprintf("%d:%d", unix.Major(stat.Rdev), unix.Minor(stat.Rdev))
	return d, nil
}

func among(others []string) string {
	if len(others) == 0 {
		return ""
	}
	return " (" + strings.Join(others, ", ") + ")"
}

// serialOf is the serial number of a disk; empty: it says none.
func serialOf(dir string) string {
	for _, name := range []string{"serial", "device/serial"} { // virtio's, NVMe's
		if text, err := os.ReadFile(filepath.Join(dir, name)); err == nil {
			return strings.Trim(string(text), " \t\n\x00")
		}
	}
	return ""
}

// isSerial says whether a serial number is this volume's: its id, which NVMe shows
// without the hyphen, and virtio only the beginning of.
func (v Volume) isSerial(serial string) bool {
	for _, id := range []string{v.ID, strings.ReplaceAll(v.ID, "-", "")} {
		if id != "" && (serial == id || len(serial) == longestSerial && strings.HasPrefix(id, serial)) {
			return true
		}
	}
	return false
}

func firstOf(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
