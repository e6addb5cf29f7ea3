//go:build dqlite

package dqlite

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"popup/console"
	"popup/internal/testutil"
	"popup/store/sqlite"
)

const diskEnv = "DQLITE_TEST_DISK"

// TestTheDiskIsFullAtTheImport runs the next one where its mounts are its own.
func TestTheDiskIsFullAtTheImport(t *testing.T) {
	t.Parallel()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestOnASmallDisk$", "-test.v")
	cmd.Env = append(os.Environ(), diskEnv+"="+t.TempDir())
	cmd.SysProcAttr = testutil.Namespaces(unix.CLONE_NEWNS)
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS") {
		t.Errorf("on a small disk: %v\n%s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if strings.Contains(line, "full_test.go") {
			t.Log(line)
		}
	}
}

// TestOnASmallDisk: a sentence, the store that was alone is as it was, and is taken in once
// there is room.
func TestOnASmallDisk(t *testing.T) {
	disk := os.Getenv(diskEnv)
	if disk == "" {
		return // TestTheDiskIsFullAtTheImport starts it
	}
	const records = 300
	folder := filepath.Join(t.TempDir(), "store")
	alone, err := sqlite.Open(t.Context(), folder)
	check(t, err)
	check(t, alone.Update(t.Context(), func(tx console.Tx) error {
		for i := range records {
			if err := tx.Put(console.Record{Kind: "thing", ID: fmt.Sprint(i), Doc: bytes.Repeat([]byte{byte(i)}, 100_000)}); err != nil {
				return err
			}
		}
		return tx.Audit(console.AuditEntry{Action: "put"})
	}))
	check(t, alone.Close())
	check(t, unix.Mount("tmpfs", disk, "tmpfs", 0, "size=40m"))
	defer unix.Unmount(disk, unix.MNT_DETACH)
	o := newMember(t)
	o.Dir = filepath.Join(disk, "cluster")
	c, err := Grow(waiting(t), o, folder)
	if err == nil {
		c.Close()
		t.Fatal("it grew on a disk that is full")
	}
	t.Log(err)
	says(t, err, "into the cluster", folder, "full")
	alone, err = sqlite.Open(t.Context(), folder)
	check(t, err)
	if is := things(t, alone); len(is) != records {
		t.Errorf("%d of %d records are left", len(is), records)
	}
	check(t, alone.Close())
	check(t, unix.Mount("tmpfs", disk, "tmpfs", unix.MS_REMOUNT, "size=400m"))
	c, err = Grow(waiting(t), o, folder)
	check(t, err)
	defer c.Close()
	if is := things(t, c); len(is) != records {
		t.Errorf("%d of %d records came", len(is), records)
	}
}
