package atomicfile_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"popup/internal/atomicfile"
)

func only(t *testing.T, dir string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("the folder holds %v; want %v", got, want)
	}
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	for _, text := range []string{"one", "", strings.Repeat("x", 100_000)} {
		if err := atomicfile.Write(path, []byte(text), 0o640); err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(path)
		if err != nil || string(got) != text {
			t.Errorf("wrote %d bytes, read %d: %v", len(text), len(got), err)
		}
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
		t.Errorf("the mode is %v, %v", info.Mode(), err)
	}
	only(t, dir, "f")
}

func TestFailedWriteLeavesWhatWasThere(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := os.MkdirAll(filepath.Join(path, "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := atomicfile.Write(path, []byte("x"), 0o600); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("wrote over a folder: %v", err)
	}
	if err := atomicfile.Symlink("x", path); err == nil {
		t.Error("linked over a folder")
	}
	only(t, dir, "f")
	if err := atomicfile.Write(filepath.Join(dir, "none/f"), nil, 0o600); err == nil {
		t.Error("wrote into no folder")
	}
}

// What is looked at again, and found wrong, replaces nothing.
func TestWriteFileIsReadBack(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	wrong := errors.New("that is not what was to come")
	for _, text := range []string{"good", "bad"} {
		err := atomicfile.WriteFile(path, 0o600, func(f *os.File) error {
			fmt.Fprint(f, text)
			if back := make([]byte, 1); second(f.ReadAt(back, 0)) != nil || string(back) != "g" {
				return wrong
			}
			return nil
		})
		if (text == "bad") != errors.Is(err, wrong) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || string(got) != "good" {
		t.Errorf("it holds %q, %v", got, err)
	}
	only(t, dir, "f")
}

func second[T any](_ T, err error) error { return err }

func TestSymlinkIsSwapped(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "current")
	for _, target := range []string{"one", "two"} {
		if err := atomicfile.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(path); err != nil || got != target {
			t.Errorf("it leads to %q, %v; want %q", got, err, target)
		}
	}
	only(t, dir, "current")
}

// Readers and other writers find one whole text at any moment.
func TestAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "f")
	texts := map[string]bool{}
	for n := range 4 {
		texts[strings.Repeat(fmt.Sprint(n), 10_000)] = true
	}
	var wait sync.WaitGroup
	for text := range texts {
		wait.Go(func() {
			for range 25 {
				if err := atomicfile.Write(path, []byte(text), 0o600); err != nil {
					t.Error(err)
				}
				if got, err := os.ReadFile(path); err != nil || !texts[string(got)] {
					t.Errorf("read %d bytes, %v, which nobody wrote", len(got), err)
				}
			}
		})
	}
	wait.Wait()
	only(t, filepath.Dir(path), "f")
}

func TestSync(t *testing.T) {
	dir := t.TempDir()
	for name, sync := range map[string]func(string) error{"SyncDir": atomicfile.SyncDir, "SyncFS": atomicfile.SyncFS} {
		if err := sync(dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := sync(filepath.Join(dir, "none")); err == nil {
			t.Errorf("%s of no folder: no error", name)
		}
	}
}
