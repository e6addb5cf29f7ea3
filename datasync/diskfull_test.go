package datasync

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// Disk full while fetching, extracting and publishing, on a disk that is really
// full where we are root, and by injected errors everywhere.
func TestDiskFull(t *testing.T) {
	t.Run("injected", func(t *testing.T) {
		r := newRig(t, Config{})
		r.source.set(t, "one", map[string]string{"a": "1"})
		r.sync("one")
		for name, err := range map[string]error{"space": syscall.ENOSPC, "quota": syscall.EDQUOT} {
			r.source.setFill("two", func(dir string) error {
				write(t, dir, map[string]string{"half": name})
				return &os.PathError{Op: "write", Path: "half", Err: err}
			})
			r.refused(ClassDisk, "the disk is full: "+r.publisher.Dir()+" has no room for the next revision", "are free); free some space")
		}
		r.source.set(t, "two", map[string]string{"a": "2"})
		r.sync("two")
	})
	if os.Getuid() != 0 {
		return // a disk cannot be mounted; the injected errors stand for it
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	disk := t.TempDir()
	cmd := exec.Command(exe, "-test.run=^TestOnASmallDisk$", "-test.v")
	cmd.Env = append(os.Environ(), "DATASYNC_DISK="+disk)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if out, err := cmd.CombinedOutput(); err != nil || strings.Count(string(out), "    --- PASS") != 3 {
		t.Errorf("on a small disk: %v\n%s", err, out)
	}
}

// TestOnASmallDisk runs in a mount namespace of its own, started by TestDiskFull.
func TestOnASmallDisk(t *testing.T) {
	disk := os.Getenv("DATASYNC_DISK")
	if disk == "" {
		return // TestDiskFull starts it
	}
	if err := unix.Mount("tmpfs", disk, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	noise := make([]byte, 900<<10)
	for i := range noise {
		noise[i] = byte(i * i >> 7)
	}
	archive := func(n int) []byte { return tarOf(t, file("a", string(noise[:n]))) }
	for name, c := range map[string]struct {
		extract   string
		good, bad map[string][]byte
	}{
		"fetch":   {"", map[string][]byte{"a": noise[:100<<10]}, map[string][]byte{"a": noise, "b": noise}},
		"extract": {"x.tar", map[string][]byte{"x.tar": archive(100 << 10)}, map[string][]byte{"x.tar": archive(600 << 10)}},
		"publish": {"", map[string][]byte{"a": noise[:100<<10]}, map[string][]byte{"a": noise[:200<<10]}},
	} {
		t.Run(name, func(t *testing.T) {
			repo := testutil.NewRepo(t)
			commit := func(files map[string][]byte) Revision {
				for name, content := range files {
					repo.Write(name, content, 0o644)
				}
				return Revision(repo.CommitAll())
			}
			dir := filepath.Join(disk, name)
			source, err := NewSource(wire.Source{URL: repo.URL()}, SourceOptions{})
			if err != nil {
				t.Fatal(err)
			}
			p := openPublisher(t, dir, PublisherOptions{})
			s := NewSyncer(Config{Source: source, Publisher: p, Extract: c.extract, Prepare: fillUp(name == "publish", disk)})
			good := commit(c.good)
			if _, _, err := s.Stage(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Publish(good); err != nil {
				t.Fatal(err)
			}
			commit(c.bad)
			for range 3 {
				_, _, err = s.Stage(t.Context())
				var full *DiskFullError
				if !errors.As(err, &full) {
					t.Fatalf("got %v; want that the disk is full", err)
				}
				wantText(t, err, "the disk is full: "+dir+" has no room for the next revision (")
				noLeftovers(t, dir)
			}
			if rev, ok := p.Current(); !ok || rev != good {
				t.Errorf("current is %s, %v; want the old revision", rev, ok)
			}
			if _, err := os.ReadFile(filepath.Join(dir, "current/a")); err != nil {
				t.Error(err)
			}
			if err := errors.Join(removeTree(dir), os.RemoveAll(filepath.Join(disk, "filler"))); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// fillUp, from the second call on, writes until the disk is full, as a build may.
func fillUp(when bool, disk string) func(_ context.Context, dir string) error {
	calls := 0
	return func(_ context.Context, dir string) error {
		if calls++; !when || calls == 1 {
			return nil
		}
		return os.WriteFile(filepath.Join(dir, "big"), make([]byte, 2<<20), 0o644)
	}
}
