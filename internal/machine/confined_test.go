package machine

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// hostDisk is the number of a disk of this machine.
func hostDisk(t *testing.T) (major, minor string) {
	t.Helper()
	all, err := filepath.Glob("/sys/block/*/dev")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range all {
		size, err := os.ReadFile(filepath.Join(filepath.Dir(path), "size"))
		text, readErr := os.ReadFile(path)
		if err == nil && readErr == nil && strings.TrimSpace(string(size)) != "0" {
			major, minor, _ = strings.Cut(strings.TrimSpace(string(text)), ":")
			return major, minor
		}
	}
	t.Skip("this machine shows no disk")
	return "", ""
}

// Whoever is root in a container makes no device of this machine's: neither its disks
// nor its memory are read by way of one. Services that want devices of their own run.
func TestContainerMakesNoDevices(t *testing.T) {
	c := startTest(t, ContainerConfig{Image: testImage(t), Name: "no-devices"})
	booted(t, c)
	major, minor := hostDisk(t)
	// What Exec runs has all rights of this test; what systemd starts has the container's.
	run := []string{"systemd-run", "--quiet", "--wait", "--pipe"}
	said := inside(t, c, append(run, "sh", "-c", fmt.Sprintf("mknod /root/disk b %s %s 2>&1; head -c 1 /root/disk 2>&1; mount -t tmpfs none /mnt && mknod /mnt/disk b %s %s 2>&1; head -c 1 /mnt/disk 2>&1; true", major, minor, major, minor))...)
	if strings.Count(said, "mknod: ") != 2 || strings.Count(said, "Operation not permitted") != 2 {
		t.Errorf("a disk of this machine: %q", said)
	}
	said = inside(t, c, append(run, "-p", "PrivateDevices=yes", "sh", "-c", "echo told >/dev/null && echo it runs")...)
	if said != "it runs\n" {
		t.Errorf("a service with devices of its own: %q", said)
	}
	status := inside(t, c, "sh", "-c", "grep CapBnd /proc/1/status")
	rights, err := strconv.ParseUint(strings.TrimSpace(strings.TrimPrefix(status, "CapBnd:")), 16, 64)
	if err != nil {
		t.Fatal(err)
	}
	for _, right := range droppedRights {
		if rights&(1<<right) != 0 {
			t.Errorf("init has the right %d", right)
		}
	}
	if rights&(1<<unix.CAP_SYS_ADMIN) == 0 {
		t.Errorf("init has the rights %x, and cannot mount", rights)
	}
}
