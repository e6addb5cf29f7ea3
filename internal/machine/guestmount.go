package machine

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// A guestMount is one file system of a container. Its place is relative to the
// root, and is made when it is missing.
type guestMount struct {
	place, kind, options string
	flags                uintptr
}

const quiet = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC

// kernelMounts are what the kernel shows a container. /sys is read-only, so
// that its udev leaves this machine's devices alone.
var kernelMounts = []guestMount{
	{"proc", "proc", "", quiet},
	{"sys", "sysfs", "", quiet | unix.MS_RDONLY},
	{"sys/fs/cgroup", cgroupType, "", quiet},
	{"dev", "tmpfs", "mode=0755,size=1m", unix.MS_NOSUID | unix.MS_NOEXEC},
	{"dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5", unix.MS_NOSUID | unix.MS_NOEXEC},
	{"dev/shm", "tmpfs", "mode=1777", unix.MS_NOSUID | unix.MS_NODEV},
	{"run", "tmpfs", "mode=0755", unix.MS_NOSUID | unix.MS_NODEV},
}

// readOnlyKernel is what of /proc would reach beyond the container if it could
// be written to.
var readOnlyKernel = []string{"proc/sys", "proc/sysrq-trigger", "proc/irq", "proc/bus"}

func mountKernel(root string) error {
	for _, m := range kernelMounts {
		place := filepath.Join(root, m.place)
		if err := os.MkdirAll(place, 0o755); err != nil {
			return err
		}
		if err := unix.Mount(m.kind, place, m.kind, m.flags, m.options); err != nil {
			return fmt.Errorf("mount %s: %w", m.place, err)
		}
	}
	for _, name := range readOnlyKernel {
		place := filepath.Join(root, name)
		if _, err := os.Stat(place); errors.Is(err, os.ErrNotExist) {
			continue // not every kernel has all
		}
		if err := bind(place, place, unix.MS_RDONLY); err != nil {
			return err
		}
	}
	// The settings of the network are the container's own.
	if net := filepath.Join(root, "proc/sys/net"); bind(net, net, 0) != nil {
		return errors.New("make proc/sys/net writable")
	}
	return freshBootID(root)
}

// bind shows what is at from also at to, with the flags alone.
func bind(from, to string, flags uintptr) error {
	if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind %s: %w", to, err)
	}
	if err := unix.Mount("", to, "", unix.MS_BIND|unix.MS_REMOUNT|quiet|flags, ""); err != nil {
		return fmt.Errorf("bind %s: %w", to, err)
	}
	return nil
}

// freshBootID gives each boot an id of its own; the kernel's is this machine's.
func freshBootID(root string) error {
	var id [16]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("make a boot id: %w", err)
	}
	id[6], id[8] = id[6]&0x0f|0x40, id[8]&0x3f|0x80
	file := filepath.Join(root, "run/boot-id")
	text := fmt.Sprintf("%x-%x-%x-%x-%x\n", id[:4], id[4:6], id[6:8], id[8:10], id[10:])
	if err := os.WriteFile(file, []byte(text), 0o444); err != nil {
		return fmt.Errorf("write the boot id: %w", err)
	}
	return bind(file, filepath.Join(root, "proc/sys/kernel/random/boot_id"), unix.MS_RDONLY)
}

// devices are the ones every program may expect.
var devices = []struct {
	name         string
	major, minor uint32
}{
	{"null", 1, 3}, {"zero", 1, 5}, {"full", 1, 7}, {"random", 1, 8}, {"urandom", 1, 9}, {"tty", 5, 0},
}

var deviceLinks = map[string]string{
	"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1", "stderr": "/proc/self/fd/2",
	"ptmx": "pts/ptmx",
}

// makeDevices fills /dev. Tty becomes the console.
func makeDevices(root, tty string) error {
	dev := filepath.Join(root, "dev")
	old := unix.Umask(0)
	defer unix.Umask(old)
	for _, d := range devices {
		if err := unix.Mknod(filepath.Join(dev, d.name), unix.S_IFCHR|0o666, int(unix.Mkdev(d.major, d.minor))); err != nil {
			return fmt.Errorf("make device %s: %w", d.name, err)
		}
	}
	for name, target := range deviceLinks {
		if err := os.Symlink(target, filepath.Join(dev, name)); err != nil {
			return err
		}
	}
	console := filepath.Join(dev, "console")
	if err := os.WriteFile(console, nil, 0o600); err != nil {
		return err
	}
	if err := unix.Mount(tty, console, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("bind the console: %w", err)
	}
	return nil
}
