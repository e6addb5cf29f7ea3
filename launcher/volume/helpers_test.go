package volume

import (
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

const volumeID = "vol-0123456789abcdef0"

// A rig is a real disk, of a file behind a loop device, on a machine whose sysfs says
// that it is the volume.
type rig struct {
	Volume
	t    *testing.T
	path string // of the disk
}

// diskSize is no multiple of what is read at once.
const diskSize = 16<<20 + 4096

// newRig says false where there are no such disks to be had.
func newRig(t *testing.T, fresh bool) (rig, bool) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Log("only root may make disks and mount them")
		return rig{}, false
	}
	dir := t.TempDir()
	r := rig{t: t, path: loop(t, filepath.Join(dir, "disk"))}
	r.Volume = Volume{ID: volumeID, Fresh: fresh, At: filepath.Join(dir, "state"), Began: filepath.Join(dir, "began"), Sys: filepath.Join(dir, "sys")}
	if err := os.Mkdir(r.At, 0o755); err != nil {
		t.Fatal(err)
	}
	r.name(r.path, "vol0123456789abcdef0\n")
	t.Cleanup(func() { _ = unix.Unmount(r.At, unix.MNT_DETACH) }) // it may not be mounted
	return r, true
}

// loop is a disk of zeros.
func loop(t *testing.T, path string) string {
	t.Helper()
	file, err := os.Create(path)
	if err == nil {
		err = errors.Join(file.Truncate(diskSize), file.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", path).CombinedOutput()
	if err != nil {
		t.Skipf("there are no loop devices here: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	return device
}

// name gives a disk a serial number.
func (r rig) name(device, serial string) {
	r.t.Helper()
	dir := filepath.Join(r.Sys, "block", filepath.Base(device), "device")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		r.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "serial"), []byte(serial), 0o644); err != nil {
		r.t.Fatal(err)
	}
}

// write writes to the disk itself.
func (r rig) write(at int64, text string) {
	r.t.Helper()
	file, err := os.OpenFile(r.path, os.O_WRONLY, 0)
	if err == nil {
		_, err = file.WriteAt([]byte(text), at)
		err = errors.Join(err, file.Sync(), file.Close())
	}
	if err != nil {
		r.t.Fatal(err)
	}
}

// sum is of every byte of the disk.
func (r rig) sum() [sha256.Size]byte {
	r.t.Helper()
	file, err := os.Open(r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	hash := sha256.New()
	_, err = io.Copy(hash, file)
	if err := errors.Join(err, file.Close()); err != nil {
		r.t.Fatal(err)
	}
	return [sha256.Size]byte(hash.Sum(nil))
}

func (r rig) mount() {
	r.t.Helper()
	if err := r.Mount(r.t.Context()); err != nil {
		r.t.Fatal(err)
	}
	if _, err := os.Stat(r.Began); !errors.Is(err, os.ErrNotExist) {
		r.t.Errorf("it is mounted, and still said to be formatted: %v", err)
	}
}

func (r rig) unmount() {
	r.t.Helper()
	if err := r.Unmount(); err != nil {
		r.t.Fatal(err)
	}
}

// refused sees that the disk is not mounted, for this reason, and not a byte of it changed.
func (r rig) refused(name, want string) {
	r.t.Helper()
	before := r.sum()
	err := r.Mount(r.t.Context())
	var e *Error
	if !errors.As(err, &e) || e.ID != r.ID || !strings.Contains(err.Error(), want) {
		r.t.Errorf("%s: %v; want %q", name, err, want)
	}
	if r.sum() != before {
		r.t.Errorf("%s: the disk was written to", name)
	}
}

// put keeps a file on the volume, and has says whether it is there.
func (r rig) put(text string) {
	r.t.Helper()
	if err := os.WriteFile(filepath.Join(r.At, "bids"), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r rig) has(want string) {
	r.t.Helper()
	text, err := os.ReadFile(filepath.Join(r.At, "bids"))
	if string(text) != want || want != "" && err != nil {
		r.t.Errorf("the state is %q, want %q: %v", text, want, err)
	}
}
