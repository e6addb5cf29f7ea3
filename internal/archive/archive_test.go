package archive_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"popup/internal/archive"
)

// sample is an archive with one of each thing in it.
func sample(t testing.TB) []byte {
	t.Helper()
	var packed bytes.Buffer
	at := time.Date(2026, 5, 31, 22, 0, 0, 0, time.UTC)
	w, err := archive.NewWriter(&packed, archive.Manifest{App: "wall", Instance: "i-1", Taken: at, Final: true})
	check(t, err)
	check(t, w.Add(archive.Entry{Path: "photos", Kind: archive.KindFolder, Mode: 0o755, Modified: at}, nil))
	check(t, w.Add(archive.Entry{Path: "photos/caf\xe9", Kind: archive.KindFile, Mode: 0o644, Modified: at, Size: 5}, strings.NewReader("photo")))
	check(t, w.Add(archive.Entry{Path: "latest", Kind: archive.KindLink, Target: "photos"}, nil))
	check(t, w.Close())
	return packed.Bytes()
}

func TestWriterAndVerify(t *testing.T) {
	m, err := archive.Verify(t.Context(), bytes.NewReader(sample(t)), archive.Limits{})
	check(t, err)
	if len(m.Entries) != 3 || m.App != "wall" || !m.Final || m.Entries[1].SHA256 != "55c64d0fcd6f9d5f7c828093857e3fdfda68478bb4e9bd24d481ef391c7804e8" {
		t.Errorf("it says %+v", m)
	}
}

// TestListIsBounded before it is read: a console has little memory.
func TestListIsBounded(t *testing.T) {
	packed := sample(t)
	for most, want := range map[int64]string{
		10:  "verify backup: its list of sums has more than the 10 bytes that are allowed",  // its names alone
		100: "verify backup: its list of sums has more than the 100 bytes that are allowed", // all of it
	} {
		_, err := archive.Verify(t.Context(), bytes.NewReader(packed), archive.Limits{List: most})
		if err == nil || err.Error() != want || errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%d: %v", most, err)
		}
	}
}

func TestFreeSpace(t *testing.T) {
	if free, err := archive.FreeSpace(t.TempDir()); err != nil || free <= 0 {
		t.Errorf("free: %d, %v", free, err)
	}
	if _, err := archive.FreeSpace(t.TempDir() + "/none"); err == nil {
		t.Error("a folder that is not there has space")
	}
}

func FuzzVerify(f *testing.F) {
	packed := sample(f)
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		_, err := archive.Verify(t.Context(), bytes.NewReader(packed), archive.Limits{Bytes: 1 << 30, List: 1 << 20})
		if err != nil && len(err.Error()) > 4096 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
