//go:build !dqlite

package dqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

func TestWithoutItSaysSo(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	o := Options{Dir: dir, Address: "127.0.0.1:9000"}
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrMissing) {
		t.Errorf("Open: %v", err)
	}
	if _, err := Grow(t.Context(), o, t.TempDir()); !errors.Is(err, ErrMissing) {
		t.Errorf("Grow: %v", err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("it made the folder all the same")
	}
}
