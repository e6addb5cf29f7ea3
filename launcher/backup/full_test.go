package backup

import (
	"bytes"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popup/internal/archive"
	"popup/internal/testutil"
	"popup/internal/testutil/vaulttest"
)

func TestTakeToAFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	check(t, err)
	defer closing(t, full)
	_, err = Take(t.Context(), sampleState(t), full, TakeOptions{})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the disk of the vault is full; free some space and try again") {
		t.Errorf("got %v", err)
	}
}

const smallDisk = "POPUP_TEST_SMALL_DISK"

// TestFullDisk runs itself again where it may mount a file system of 1 MiB.
func TestFullDisk(t *testing.T) {
	if dir := os.Getenv(smallDisk); dir != "" {
		check(t, syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=1m"))
		t.Run("put", func(t *testing.T) { putOnFullDisk(t, dir) })
		t.Run("restore", func(t *testing.T) { restoreOnFullDisk(t, dir) })
		return
	}
	again := exec.Command(os.Args[0], "-test.run=^TestFullDisk$", "-test.v")
	again.Env = append(os.Environ(), smallDisk+"="+t.TempDir())
	again.SysProcAttr = testutil.Namespaces(syscall.CLONE_NEWNS)
	out, err := again.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestFullDisk/restore") {
		t.Errorf("%v\n%s", err, out)
	}
}

func bigState(t *testing.T) *os.Root {
	state := openRoot(t, t.TempDir())
	noise := make([]byte, 3<<20)
	_, err := rand.Read(noise)
	check(t, err)
	write(t, state, "noise", string(noise))
	return state
}

func putOnFullDisk(t *testing.T, dir string) {
	vault, err := archive.FolderVault(filepath.Join(dir, "vault"))
	check(t, err)
	check(t, vault.Put(t.Context(), "old", strings.NewReader("whole")))
	_, err = Save(t.Context(), vault, "new", bigState(t), SaveOptions{})
	want := `put backup "new": the disk of ` + dir + `/vault is full; free some space and try again (`
	if err == nil || !strings.HasPrefix(err.Error(), want) || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v", err)
	}
	vaulttest.Contains(t, vault, "old whole")
	left, err := os.ReadDir(filepath.Join(dir, "vault"))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

func restoreOnFullDisk(t *testing.T, dir string) {
	packed, _ := take(t, bigState(t))
	check(t, os.Mkdir(filepath.Join(dir, "state"), 0o755))
	target := openRoot(t, filepath.Join(dir, "state"))
	_, err := Restore(t.Context(), bytes.NewReader(packed), target, archive.Limits{})
	want := "restore backup: the disk of " + dir + "/state is full; free some space and try again ("
	if err == nil || !strings.HasPrefix(err.Error(), want) || errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("got %v", err)
	}
	if left, err := names(target); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}
