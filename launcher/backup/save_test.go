package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popup/internal/archive"
	"popup/internal/testutil/vaulttest"
)

func TestSave(t *testing.T) {
	state := sampleState(t)
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	saved, err := Save(t.Context(), vault, "a.tar.zst", state, SaveOptions{TakeOptions: TakeOptions{At: when}})
	check(t, err)
	r, err := vault.Get(t.Context(), "a.tar.zst")
	check(t, err)
	defer closing(t, r)
	verified, err := archive.Verify(t.Context(), r, archive.Limits{})
	check(t, err)
	if diff := cmp.Diff(saved, verified); diff != "" {
		t.Error(diff)
	}
}

// A badVault is a vault with one fault.
type badVault struct {
	archive.Vault
	put func(ctx context.Context, name string, r io.Reader) error
}

func (v badVault) Put(ctx context.Context, name string, r io.Reader) error {
	return v.put(ctx, name, r)
}

func TestSaveRemovesWhatCannotBeReadBack(t *testing.T) {
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	bad := badVault{vault, func(ctx context.Context, name string, r io.Reader) error {
		packed, err := io.ReadAll(r)
		check(t, err)
		packed[len(packed)/2] ^= 1
		return vault.Put(ctx, name, bytes.NewReader(packed))
	}}
	_, err = Save(t.Context(), bad, "a", sampleState(t), SaveOptions{})
	if !errors.Is(err, archive.ErrCorrupt) || !strings.HasPrefix(err.Error(), `read backup "a" back: `) {
		t.Errorf("got %v", err)
	}
	vaulttest.Contains(t, vault)
}

func TestSaveThatIsCancelledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	vault, err := archive.FolderVault(dir)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	bad := badVault{vault, func(ctx context.Context, name string, r io.Reader) error {
		return vault.Put(ctx, name, io.MultiReader(io.LimitReader(r, 1), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }), r))
	}}
	if _, err := Save(ctx, bad, "a", sampleState(t), SaveOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSaveSaysWhatTakeCouldNot(t *testing.T) {
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	gone := openRoot(t, t.TempDir())
	check(t, os.Remove(gone.Name()))
	if _, err := Save(t.Context(), vault, "a", gone, SaveOptions{}); err == nil || !strings.Contains(err.Error(), "take backup: it is gone") {
		t.Errorf("got %v", err)
	}
	vaulttest.Contains(t, vault)
}

func TestSeries(t *testing.T) {
	s := Series{App: "photo-wall", Instance: "i-0abc"}
	name := s.Name(when.In(time.FixedZone("", 7200)))
	if name != "photo-wall-i-0abc-20260531T220000Z.tar.zst" {
		t.Errorf("name: %s", name)
	}
	check(t, archive.CheckName(name))
	if at, ok := s.Time(name); !ok || !at.Equal(when) {
		t.Errorf("time of %s: %s, %v", name, at, ok)
	}
	s.Sealed = true
	if name += ".age"; s.Name(when) != name {
		t.Errorf("encrypted: %s", s.Name(when))
	}
	if at, ok := s.Time(name); !ok || !at.Equal(when) {
		t.Errorf("time of %s: %s, %v", name, at, ok)
	}
	for _, other := range []string{
		"photo-wall-i-0abcd-20260531T220000Z.tar.zst", "photo-wall-i-0abc-20260531T220000Z.tar.gz", "photo-wall-i-0abc-notes.tar.zst", "photo-wall-i-0abc-20260531T220000.5Z.tar.zst",
		"wall-i-0abc-20260531T220000Z.tar.zst", "photo-wall-i-0abc-20260531T220000Z.tar.zst.old", "photo-wall-i-0abc-20261331T220000Z.tar.zst",
	} {
		if _, ok := s.Time(other); ok {
			t.Errorf("%s is of the series", other)
		}
	}
}

func TestPrune(t *testing.T) {
	ctx := t.Context()
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	s, other := Series{App: "wall", Instance: "i-1"}, Series{App: "wall", Instance: "i-2"}
	for day := range 4 {
		for _, series := range []Series{s, other} {
			check(t, vault.Put(ctx, series.Name(when.AddDate(0, 0, day)), strings.NewReader("")))
		}
	}
	check(t, vault.Put(ctx, "notes.txt", strings.NewReader("")))
	deleted, err := Prune(ctx, vault, s.Of(), 2)
	check(t, err)
	if diff := cmp.Diff([]string{"wall-i-1-20260601T220000Z.tar.zst", "wall-i-1-20260531T220000Z.tar.zst"}, deleted); diff != "" {
		t.Error(diff)
	}
	items, err := s.List(ctx, vault)
	check(t, err)
	if len(items) != 2 || items[0].Name != "wall-i-1-20260603T220000Z.tar.zst" {
		t.Errorf("kept %v", items)
	}
	all, err := vault.List(ctx)
	check(t, err)
	if len(all) != 2+4+1 {
		t.Errorf("the vault holds %v", all)
	}
	if deleted, err := Prune(ctx, vault, s.Of(), 5); err != nil || len(deleted) > 0 {
		t.Errorf("keep more than there are: %v, %v", deleted, err)
	}
	if _, err := Prune(ctx, vault, s.Of(), 0); err == nil || err.Error() != "prune backups: 0 is not a number of backups to keep; keep at least 1" {
		t.Errorf("keep none: %v", err)
	}
}

func TestNewest(t *testing.T) {
	ctx := t.Context()
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	newest := func(of, want, wrong string) {
		t.Helper()
		name, err := Newest(ctx, vault, of)
		if name != want || (err == nil) != (wrong == "") || err != nil && err.Error() != wrong {
			t.Errorf("of %q: %s, %v", of, name, err)
		}
	}
	newest("", "", "there is no such backup in the vault")
	for _, name := range []string{"wall-1-20260601T000000Z.tar.zst.age", "wall-1-20260602T000000Z.tar.zst", "wall-1-20260531T000000Z.tar.zst", "notes"} {
		check(t, vault.Put(ctx, name, strings.NewReader("")))
	}
	newest("", "wall-1-20260602T000000Z.tar.zst", "")
	check(t, vault.Put(ctx, "wall-2-20260603T000000Z.tar.zst", strings.NewReader("")))
	newest("", "", "the vault holds backups of several instances (wall-1, wall-2); name one of them, or a backup")
	newest("wall-1", "wall-1-20260602T000000Z.tar.zst", "")
	newest("wall-3", "", "there is no such backup of wall-3 in the vault")
}

func FuzzParseName(f *testing.F) {
	f.Add("photo-wall-i-0abc-20260531T220000Z.tar.zst")
	f.Add("photo-wall-i-0abc-20260531T220000Z.tar.zst.age")
	f.Add("-20260531T220000Z.tar.zst")
	f.Add(".tar.zst.age")
	f.Fuzz(func(t *testing.T, name string) {
		of, at, ok := ParseName(name)
		if again := of + "-" + at.Format(timeLayout) + suffix; ok && (of == "" || name != again && name != again+archive.Sealed) {
			t.Errorf("%q is taken for %q", name, again)
		}
	})
}
