package volume

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestFreshIsFormattedOnce: what is written is there after restarts and reboots, and on
// the next instance.
func TestFreshIsFormattedOnce(t *testing.T) {
	r, ok := newRig(t, true)
	if !ok {
		return
	}
	r.mount()
	if names, err := os.ReadDir(r.At); err != nil || len(names) != 0 {
		t.Errorf("a new volume holds %v, %v", names, err)
	}
	text, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	line := ""
	for l := range strings.Lines(string(text)) {
		if strings.Contains(l, " "+r.At+" ") {
			line = l
		}
	}
	for _, want := range []string{"nodev", "nosuid", "noatime", " ext4 ", "errors=remount-ro"} {
		if !strings.Contains(line, want) {
			t.Errorf("it is mounted without %s: %s", want, line)
		}
	}
	r.put("one")
	r.mount() // popup was started again
	r.has("one")
	r.unmount()
	r.has("")
	r.mount() // so was the machine
	r.has("one")
	r.put("two")
	r.unmount()
	r.unmount() // again

	r.Fresh = false // the next instance
	elsewhere := filepath.Join(t.TempDir(), "root")
	if err := os.Symlink(filepath.Dir(r.At), elsewhere); err != nil {
		t.Fatal(err)
	}
	r.At = filepath.Join(elsewhere, "state")
	for range 2 {
		r.mount()
		r.has("two")
	}
	open, err := os.Open(filepath.Join(r.At, "bids"))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Unmount(); err == nil || !strings.Contains(err.Error(), "a program still has a file of it open") {
		t.Errorf("while a file is open: %v", err)
	}
	if err := open.Close(); err != nil {
		t.Fatal(err)
	}
	r.unmount()
}

// TestWhatIsInTheWay is never hidden, and nothing else is unmounted.
func TestWhatIsInTheWay(t *testing.T) {
	r, ok := newRig(t, true)
	if !ok {
		return
	}
	r.put("under it")
	r.refused("a state that is there", "there is state in "+r.At+" already")
	if err := os.Remove(filepath.Join(r.At, "bids")); err != nil {
		t.Fatal(err)
	}

	r.mount()
	r.unmount()
	other := t.TempDir()
	if err := unix.Mount(r.path, other, "ext4", 0, ""); err != nil {
		t.Fatal(err)
	}
	r.refused("mounted elsewhere", r.path+" is mounted at "+other+"; unmount it there")
	if err := unix.Unmount(other, 0); err != nil {
		t.Fatal(err)
	}

	if err := unix.Mount("none", r.At, "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	r.refused("another disk", "another disk (none) is mounted at "+r.At)
	r.unmount()

	held, err := os.OpenFile(r.path, os.O_RDONLY|unix.O_EXCL, 0) // as RAID and LVM do
	if err != nil {
		t.Fatal(err)
	}
	r.refused("in use", r.path+" is in use by something else")
	if err := held.Close(); err != nil {
		t.Fatal(err)
	}
	gone := r
	gone.At = filepath.Join(r.At, "none")
	gone.refused("no folder", "the folder it is mounted at is not there")
	r.mount()
}

func TestOnlyRootMounts(t *testing.T) {
	const inside = "POPUP_TEST_NOT_ROOT"
	if os.Getenv(inside) == "" && os.Geteuid() == 0 {
		cmd := exec.CommandContext(t.Context(), "/proc/self/exe", "-test.run=^TestOnlyRootMounts$")
		cmd.Env = append(os.Environ(), inside+"=1")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("as nobody: %v\n%s", err, out)
		}
		return
	}
	err := Volume{ID: volumeID, At: "/"}.Mount(t.Context())
	if err == nil || !strings.Contains(err.Error(), "mount the volume "+volumeID+": only root may mount a disk; start popup with sudo") {
		t.Errorf("without root: %v", err)
	}
}

func TestParseMounts(t *testing.T) {
	got := parseMounts(`22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
44 22 7:3 / /a\040b\134 rw,nosuid - ext4 /dev/loop3 rw,errors=remount-ro
45 22 0:9 / /x rw shared:1 master:2 - tmpfs none rw
half a line
`)
	want := []mounted{{"8:1", "/", "/dev/sda1"}, {"7:3", `/a b\`, "/dev/loop3"}, {"0:9", "/x", "none"}}
	if !slices.Equal(got, want) {
		t.Errorf("it reads %+v", got)
	}
}
