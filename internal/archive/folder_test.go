package archive_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"popup/internal/archive"
	"popup/internal/testutil/vaulttest"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestFolderVault(t *testing.T) {
	vaulttest.Run(t, vaulttest.Options{Open: func(t *testing.T) archive.Vault {
		vault, err := archive.FolderVault(filepath.Join(t.TempDir(), "a", "vault"))
		check(t, err)
		return vault
	}})
}

func TestFolderVaultIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	vault, err := archive.FolderVault(dir)
	check(t, err)
	check(t, vault.Put(t.Context(), "a", strings.NewReader("x")))
	for path, want := range map[string]os.FileMode{dir: 0o700, filepath.Join(dir, "a"): 0o600} {
		info, err := os.Stat(path)
		check(t, err)
		if info.Mode().Perm() != want {
			t.Errorf("%s is %v, want %v", path, info.Mode().Perm(), want)
		}
	}
}

func TestFolderVaultSweepsWhatACrashLeft(t *testing.T) {
	dir := t.TempDir()
	left, beingWritten := filepath.Join(dir, archive.Unfinished+"1"), filepath.Join(dir, archive.Unfinished+"2")
	check(t, os.WriteFile(left, []byte("half"), 0o600))
	file, err := os.Create(beingWritten)
	check(t, err)
	defer func() { check(t, file.Close()) }()
	check(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
	_, err = archive.FolderVault(dir)
	check(t, err)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is there: %v", err)
	}
	if _, err := os.Stat(beingWritten); err != nil {
		t.Errorf("what another process writes is gone: %v", err)
	}
}
