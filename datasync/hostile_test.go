package datasync

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A build may leave paths behind that no call takes whole.
func TestRemoveTreeOfAnyDepth(t *testing.T) {
	dir := filepath.Join(tempDir(t), "tmp-1")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	at, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	for range 30 {
		name := strings.Repeat("d", 200)
		if err := at.Mkdir(name, 0o755); err != nil {
			t.Fatal(err)
		}
		below, err := at.OpenRoot(name)
		if err := errors.Join(err, at.Chmod(".", 0o555), at.Close()); err != nil {
			t.Fatal(err)
		}
		at = below
	}
	if err := errors.Join(at.Close(), removeTree(dir)); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
}
