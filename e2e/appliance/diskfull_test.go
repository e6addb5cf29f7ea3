package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popup/internal/testutil"
)

// smallDisk is a file system of its own, of size bytes; it needs root.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := tempRoot(t)
	if err := syscall.Mount("none", dir, "tmpfs", 0, "mode=0755,size="+size); err != nil {
		t.Fatalf("mount a small disk (this test needs root): %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// Data larger than what is left of the disk is not published; the day before goes
// on, the status names the disk, and with space again the same day is served.
func TestFullDiskConvergesWhenThereIsSpace(t *testing.T) {
	t.Parallel()
	root, repo := smallDisk(t, "8m"), testutil.NewRepo(t)
	repo.Commit(map[string]string{"day": "one"})
	u := startUp(t, root, "--config", dataApp(t, "", ""), "--data", repo.URL())
	u.await("/days/day", "one")
	ballast := filepath.Join(root, "ballast")
	if err := os.WriteFile(ballast, make([]byte, 5<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	newest := repo.Commit(map[string]string{"day": "two", "large": strings.Repeat("0123456789", 400_000)})
	for range 2 {
		if _, err := u.client().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "the disk is full: "+root) {
			t.Fatalf("sync: %v; want that the disk is full", err)
		}
		u.await("/days/day", "one")
	}
	if s := u.status(); !strings.Contains(s.Data.LastError, "the disk is full") || len(s.Data.Refused) > 0 {
		t.Errorf("last error %q, refused %+v; want the disk named, and nothing refused", s.Data.LastError, s.Data.Refused)
	}
	if left, err := filepath.Glob(filepath.Join(root, "var/lib/popup/data/tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
	if err := os.Remove(ballast); err != nil {
		t.Fatal(err)
	}
	if report, err := u.client().Sync(t.Context()); err != nil || string(report.Served.Revision) != newest {
		t.Errorf("sync with space again: %+v, %v; want %s", report, err, newest)
	}
	u.await("/days/day", "two")
}
