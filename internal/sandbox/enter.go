package sandbox

import (
	"errors"
	"fmt"
	"math"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// confinedUmask keeps what the program writes from other accounts.
const confinedUmask = 0o027

// enter gives up, for the calling thread and what it becomes, all that p does
// not grant. The order matters: what needs a right comes before the right goes.
func (p Policy) enter() error {
	syscall.Umask(confinedUmask)
	if err := p.Limits.apply(); err != nil {
		return err
	}
	if err := dropBounding(); err != nil {
		return err
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("forbid new privileges: %w", err)
	}
	if p.Landlock != nil {
		if err := p.Landlock.restrict(); err != nil {
			return err
		}
	}
	if p.User != nil {
		if err := p.User.become(); err != nil {
			return err
		}
	}
	return dropCapabilities()
}

// apply lowers the limits, hard ones included, so that they cannot be raised again.
func (l Limits) apply() error {
	for _, limit := range []struct {
		name     string
		resource int
		value    uint64
		set      bool
	}{
		{"core dumps", unix.RLIMIT_CORE, 0, true},
		{"open files", unix.RLIMIT_NOFILE, l.Files, l.Files != 0},
		{"processes", unix.RLIMIT_NPROC, l.Processes, l.Processes != 0},
	} {
		if !limit.set {
			continue
		}
		// The standard library's Setrlimit, because its Exec would undo another's of open files.
		if err := syscall.Setrlimit(limit.resource, &syscall.Rlimit{Cur: limit.value, Max: limit.value}); err != nil {
			return fmt.Errorf("limit %s to %d: %w", limit.name, limit.value, err)
		}
	}
	return nil
}

// dropBounding takes every capability out of the bounding set, so that not even
// a program that root runs gets one. Only who has that right can: without it
// there is nothing in the set that no_new_privs leaves within reach.
func dropBounding() error {
	for capability := uintptr(0); ; capability++ {
		held, err := unix.PrctlRetInt(unix.PR_CAPBSET_READ, capability, 0, 0, 0)
		if errors.Is(err, unix.EINVAL) {
			return nil // past the last one this kernel knows
		}
		if err != nil {
			return fmt.Errorf("read capability %d: %w", capability, err)
		}
		if held == 0 {
			continue
		}
		err = unix.Prctl(unix.PR_CAPBSET_DROP, capability, 0, 0, 0)
		if errors.Is(err, unix.EPERM) && os.Geteuid() != 0 {
			return nil
		}
		if err != nil {
			return fmt.Errorf("drop capability %d: %w", capability, err)
		}
	}
}

// dropCapabilities empties the ambient, inheritable, permitted and effective sets.
func dropCapabilities() error {
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("drop ambient capabilities: %w", err)
	}
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	if err := unix.Capset(&header, &none[0]); err != nil {
		return fmt.Errorf("drop capabilities: %w", err)
	}
	return nil
}

// become changes to u, with its group alone.
func (u User) become() error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("become user %s: only root may run a program as another user", u.Name)
	}
	if err := u.ownOutput(); err != nil {
		return err
	}
	if err := syscall.Setgroups([]int{int(u.GID)}); err != nil {
		return fmt.Errorf("leave groups: %w", err)
	}
	if err := syscall.Setresgid(int(u.GID), int(u.GID), int(u.GID)); err != nil {
		return fmt.Errorf("become group of user %s: %w", u.Name, err)
	}
	if err := syscall.Setresuid(int(u.UID), int(u.UID), int(u.UID)); err != nil {
		return fmt.Errorf("become user %s: %w", u.Name, err)
	}
	if syscall.Setuid(0) == nil {
		return fmt.Errorf("become user %s: the way back to root is still open", u.Name)
	}
	return nil
}

// ownOutput makes pipes that the program prints to u's own: programs open them
// once more, as /dev/stderr.
func (u User) ownOutput() error {
	for fd := 1; fd <= 2; fd++ {
		var info unix.Stat_t
		if err := unix.Fstat(fd, &info); err != nil {
			return fmt.Errorf("look at output: %w", err)
		}
		if info.Mode&unix.S_IFMT != unix.S_IFIFO {
			continue
		}
		if err := unix.Fchown(fd, int(u.UID), int(u.GID)); err != nil {
			return fmt.Errorf("hand output to user %s: %w", u.Name, err)
		}
	}
	return nil
}

// closeOnExec keeps every descriptor from fd on from the program.
func closeOnExec(fd int) error {
	err := unix.CloseRange(uint(fd), math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		return closeOnExecEach(fd) // before Linux 5.11
	}
	if err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	return nil
}

func closeOnExecEach(first int) error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return fmt.Errorf("close descriptors: %w", err)
	}
	for _, e := range entries {
		var fd int
		if _, err := fmt.Sscanf(e.Name(), "%d", &fd); err == nil && fd >= first {
			syscall.CloseOnExec(fd)
		}
	}
	return nil
}
