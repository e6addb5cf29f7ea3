// Package volume mounts the disk that an instance's state is on, and makes its file
// system, once, where the disk is new.
//
// What is on a disk is never guessed at. It is formatted only where the plan says that it
// was made for this very launch and where it reads blank; where it holds an ext4 it is
// mounted; in every other case it is left as it is, and the error says why.
package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// An Error says why a volume is not mounted, and what to try.
type Error struct {
	ID   string
	Why  string
	Hint string // empty: none
	Away bool   // it may only not be there yet
	Err  error  // may be nil
}

func (e *Error) Error() string {
	text := fmt.Sprintf("mount the volume %s: %s", e.ID, e.Why)
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	if e.Hint != "" {
		text += "; " + e.Hint
	}
	return text
}

func (e *Error) Unwrap() error { return e.Err }

// A Volume is a disk for state alone.
type Volume struct {
	ID    string // the cloud's name for it, which its serial number shows
	Fresh bool   // it was made for this launch
	At    string // the folder it is mounted at, which is there
	// Began is a file that is there, of this machine's own disk, while the volume is
	// formatted: what a kill left of that is no data of anybody's.
	Began string
	Sys   string // where sysfs is; empty: /sys
	Dev   string // where devices are; empty: /dev
}

// mountFlags: an app must gain nothing by what it writes there.
const mountFlags = unix.MS_NODEV | unix.MS_NOSUID | unix.MS_NOATIME

// Allowed says whether this process may mount anything.
func (v Volume) Allowed() error {
	if os.Geteuid() != 0 {
		return v.refuse("only root may mount a disk", "start popup with sudo, or take state.volume out of the plan")
	}
	return nil
}

// Mount mounts the volume, unless it is. The error is an *Error, or ctx's. It is done
// again after any of them, and after a kill at any moment, and nothing is lost.
func (v Volume) Mount(ctx context.Context) error {
	if err := v.Allowed(); err != nil {
		return err
	}
	at, err := filepath.EvalSymlinks(v.At) // as the kernel tells what is mounted
	if err != nil {
		return &Error{ID: v.ID, Why: "the folder it is mounted at is not there", Err: err}
	}
	v.At = at
	disk, err := v.find()
	if err != nil {
		return err
	}
	mounted, err := v.isMounted(disk)
	if err != nil || mounted {
		return err
	}
	if err := v.bare(); err != nil {
		return err
	}
	holds, err := v.look(disk)
	if err != nil {
		return err
	}
	if err := v.ready(ctx, disk, holds); err != nil {
		return err
	}
	if err := unix.Mount(disk.path, v.At, "ext4", mountFlags, "errors=remount-ro"); err != nil {
		return &Error{ID: v.ID, Why: "its file system cannot be mounted", Err: err,
			Hint: "look at it with e2fsck -n " + disk.path + ", or restore a backup into a new volume"}
	}
	// Whoever repairs the file system makes it again; an app has no business with it.
	if err := os.Remove(filepath.Join(v.At, "lost+found")); err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTEMPTY) {
		return &Error{ID: v.ID, Why: "it cannot be written", Err: err, Hint: "look for what the kernel says of " + disk.name + " in dmesg"}
	}
	return nil
}

// Unmount writes what is not written yet, and lets go of the volume. It is no error
// when it is not mounted.
func (v Volume) Unmount() error {
	err := unix.Unmount(v.At, unix.UMOUNT_NOFOLLOW)
	switch {
	case err == nil || errors.Is(err, unix.EINVAL) || errors.Is(err, fs.ErrNotExist):
		return nil
	case errors.Is(err, unix.EBUSY):
		unix.Sync()
		return &Error{ID: v.ID, Why: "it stays mounted, for a program still has a file of it open; all of it was written"}
	}
	return &Error{ID: v.ID, Why: "it cannot be unmounted", Err: err}
}

func (v Volume) refuse(why, hint string) error { return &Error{ID: v.ID, Why: why, Hint: hint} }

// bare says whether nothing lies in the folder, which the volume would hide.
func (v Volume) bare() error {
	entries, err := os.ReadDir(v.At)
	if err != nil {
		return &Error{ID: v.ID, Why: "the folder it is mounted at cannot be read", Err: err}
	}
	if len(entries) > 0 {
		return v.refuse(fmt.Sprintf("there is state in %s already, which it would hide", v.At),
			"move what is there to another folder, and back in once the volume is mounted")
	}
	return nil
}

// isMounted says whether the disk is mounted where it should be, and refuses what else
// is mounted there, and the disk elsewhere.
func (v Volume) isMounted(disk disk) (bool, error) {
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return false, &Error{ID: v.ID, Why: "what is mounted cannot be read", Err: err}
	}
	there, elsewhere := false, ""
	for _, m := range parseMounts(string(text)) {
		switch {
		case m.at == v.At && m.device == disk.device:
			there = true
		case m.at == v.At:
			return false, v.refuse(fmt.Sprintf("another disk (%s) is mounted at %s", m.from, v.At), "unmount that first")
		case m.device == disk.device:
			elsewhere = m.at
		}
	}
	if !there && elsewhere != "" {
		return false, v.refuse(fmt.Sprintf("%s is mounted at %s", disk.path, elsewhere), "unmount it there, and keep it out of /etc/fstab")
	}
	return there, nil
}

// A mounted file system.
type mounted struct{ device, at, from string }

// parseMounts reads a mountinfo, as proc(5) has it.
func parseMounts(text string) (all []mounted) {
	plain := strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
	for line := range strings.Lines(text) {
		first, second, _ := strings.Cut(line, " - ")
		fields, rest := strings.Fields(first), strings.Fields(second)
		if len(fields) < 5 || len(rest) < 2 {
			continue
		}
		all = append(all, mounted{device: fields[2], at: plain.Replace(fields[4]), from: plain.Replace(rest[1])})
	}
	return all
}
