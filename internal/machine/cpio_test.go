package machine

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestCpioIsReadByOthers(t *testing.T) {
	var archive bytes.Buffer
	w := &cpioWriter{w: &archive}
	err := errors.Join(
		w.folder("bin"), w.file("bin/tool", 0o755, []byte("12345")), w.file("empty", 0o600, nil),
		w.link("bin/sh", "tool"), w.close())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "busybox", "cpio", "-i")
	cmd.Dir, cmd.Stdin = dir, &archive
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("unpack: %v\n%s", err, out)
	}
	for name, want := range map[string]struct {
		mode os.FileMode
		text string
	}{
		"bin": {os.ModeDir | 0o755, ""}, "bin/tool": {0o755, "12345"}, "empty": {0o600, ""}, "bin/sh": {os.ModeSymlink | 0o777, "tool"},
	} {
		path := filepath.Join(dir, name)
		info, err := os.Lstat(path)
		if err != nil {
			t.Error(err)
			continue
		}
		if info.Mode() != want.mode {
			t.Errorf("%s has mode %v, want %v", name, info.Mode(), want.mode)
		}
		text := ""
		switch {
		case info.Mode().IsRegular():
			data, err := os.ReadFile(path)
			noError(t, err)
			text = string(data)
		case info.Mode()&os.ModeSymlink != 0:
			text, err = os.Readlink(path)
			noError(t, err)
		}
		if text != want.text {
			t.Errorf("%s holds %q, want %q", name, text, want.text)
		}
	}
}

// A fullWriter takes so many bytes and then no more.
type fullWriter struct{ room int }

var errFull = errors.New("no space left")

func (w *fullWriter) Write(p []byte) (int, error) {
	if len(p) > w.room {
		return 0, errFull
	}
	w.room -= len(p)
	return len(p), nil
}

func TestCpioKeepsItsFirstError(t *testing.T) {
	w := &cpioWriter{w: &fullWriter{room: 200}}
	if err := w.folder("a"); err != nil {
		t.Fatal(err)
	}
	if err := w.file("b", 0o644, make([]byte, 500)); !errors.Is(err, errFull) || !strings.Contains(err.Error(), "write b") {
		t.Errorf("a full disk is reported as %v", err)
	}
	if err := w.close(); !errors.Is(err, errFull) {
		t.Errorf("the archive was closed with %v although it is not whole", err)
	}
}
