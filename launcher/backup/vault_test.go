package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestFolderVault(t *testing.T) {
	testVault(t, func(t *testing.T) Vault {
		vault, err := FolderVault(filepath.Join(t.TempDir(), "a", "vault"))
		check(t, err)
		return vault
	})
}

// testVault is what every Vault has to do.
func testVault(t *testing.T, open func(t *testing.T) Vault) {
	ctx := t.Context()
	t.Run("empty", func(t *testing.T) { contains(t, open(t)) })
	t.Run("what is put can be got", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "b", strings.NewReader("second")))
		check(t, vault.Put(ctx, "a", strings.NewReader("first")))
		contains(t, vault, "a first", "b second")
	})
	t.Run("put again", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("a long one")))
		check(t, vault.Put(ctx, "a", strings.NewReader("short")))
		contains(t, vault, "a short")
	})
	t.Run("a failed put changes nothing", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("before")))
		broken := errors.New("the app went away")
		for _, name := range []string{"a", "b"} {
			r := io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, broken }))
			if err := vault.Put(ctx, name, r); !errors.Is(err, broken) {
				t.Errorf("put %s: %v", name, err)
			}
		}
		contains(t, vault, "a before")
	})
	t.Run("a cancelled put changes nothing", func(t *testing.T) {
		vault := open(t)
		ctx, cancel := context.WithCancel(ctx)
		r := io.MultiReader(readerFunc(func(p []byte) (int, error) { cancel(); return copy(p, "half"), io.EOF }), strings.NewReader("more"))
		if err := vault.Put(ctx, "a", r); !errors.Is(err, context.Canceled) {
			t.Errorf("put: %v", err)
		}
		contains(t, vault)
	})
	t.Run("nothing is seen before it is whole", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "b", io.MultiReader(strings.NewReader("x"), readerFunc(func([]byte) (int, error) {
			contains(t, vault)
			return 0, io.EOF
		}))))
		contains(t, vault, "b x")
	})
	t.Run("not found", func(t *testing.T) {
		if _, err := open(t).Get(ctx, "a"); !errors.Is(err, ErrNotFound) {
			t.Errorf("get: %v", err)
		}
	})
	t.Run("delete", func(t *testing.T) {
		vault := open(t)
		check(t, vault.Put(ctx, "a", strings.NewReader("x")))
		check(t, vault.Delete(ctx, "a"))
		check(t, vault.Delete(ctx, "a"))
		contains(t, vault)
	})
	t.Run("names", func(t *testing.T) {
		vault := open(t)
		for _, name := range []string{"", ".", "..", ".hidden", "a/b", "../a", "/a", "-rf", "a\nb", "a b", "ä", strings.Repeat("a", 201)} {
			_, get := vault.Get(ctx, name)
			for verb, err := range map[string]error{"put": vault.Put(ctx, name, strings.NewReader("x")), "get": get, "delete": vault.Delete(ctx, name)} {
				if err == nil || !strings.Contains(err.Error(), "is not a name for a backup; use up to 200 letters") || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s %q: %v", verb, name, err)
				}
			}
		}
		check(t, vault.Put(ctx, strings.Repeat("a", 200), strings.NewReader("")))
	})
	t.Run("a context that is over", func(t *testing.T) {
		vault := open(t)
		ctx, cancel := context.WithCancel(ctx)
		cancel()
		_, get := vault.Get(ctx, "a")
		_, list := vault.List(ctx)
		for verb, err := range map[string]error{"put": vault.Put(ctx, "a", strings.NewReader("x")), "get": get, "list": list, "delete": vault.Delete(ctx, "a")} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", verb, err)
			}
		}
	})
}

// contains asserts what a vault holds, as "name contents".
func contains(t *testing.T, vault Vault, want ...string) {
	t.Helper()
	items, err := vault.List(t.Context())
	check(t, err)
	var got []string
	for _, item := range items {
		r, err := vault.Get(t.Context(), item.Name)
		check(t, err)
		content, err := io.ReadAll(r)
		check(t, errors.Join(err, r.Close()))
		if item.Size != int64(len(content)) || time.Since(item.Modified).Abs() > time.Hour {
			t.Errorf("%+v has %d bytes", item, len(content))
		}
		got = append(got, item.Name+" "+string(content))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the vault holds: %s", diff)
	}
}

func TestFolderVaultIsItsOwnersAlone(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "vault")
	vault, err := FolderVault(dir)
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
	left, beingWritten := filepath.Join(dir, unfinished+"1"), filepath.Join(dir, unfinished+"2")
	check(t, os.WriteFile(left, []byte("half"), 0o600))
	file, err := os.Create(beingWritten)
	check(t, err)
	defer closing(t, file)
	check(t, unix.Flock(int(file.Fd()), unix.LOCK_EX))
	_, err = FolderVault(dir)
	check(t, err)
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is there: %v", err)
	}
	if _, err := os.Stat(beingWritten); err != nil {
		t.Errorf("what another process writes is gone: %v", err)
	}
}

func TestSave(t *testing.T) {
	state := sampleState(t)
	vault, err := FolderVault(t.TempDir())
	check(t, err)
	saved, err := Save(t.Context(), vault, "a.tar.zst", state, TakeOptions{At: when})
	check(t, err)
	r, err := vault.Get(t.Context(), "a.tar.zst")
	check(t, err)
	defer closing(t, r)
	verified, err := Verify(t.Context(), r)
	check(t, err)
	if diff := cmp.Diff(saved, verified); diff != "" {
		t.Error(diff)
	}
}

// A badVault is a vault with one fault.
type badVault struct {
	Vault
	put func(ctx context.Context, name string, r io.Reader) error
}

func (v badVault) Put(ctx context.Context, name string, r io.Reader) error {
	return v.put(ctx, name, r)
}

func TestSaveRemovesWhatCannotBeReadBack(t *testing.T) {
	vault, err := FolderVault(t.TempDir())
	check(t, err)
	bad := badVault{vault, func(ctx context.Context, name string, r io.Reader) error {
		archive, err := io.ReadAll(r)
		check(t, err)
		archive[len(archive)/2] ^= 1
		return vault.Put(ctx, name, bytes.NewReader(archive))
	}}
	_, err = Save(t.Context(), bad, "a", sampleState(t), TakeOptions{})
	if !errors.Is(err, ErrCorrupt) || !strings.HasPrefix(err.Error(), `read backup "a" back: `) {
		t.Errorf("got %v", err)
	}
	contains(t, vault)
}

func TestSaveThatIsCancelledLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	vault, err := FolderVault(dir)
	check(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	bad := badVault{vault, func(ctx context.Context, name string, r io.Reader) error {
		return vault.Put(ctx, name, io.MultiReader(io.LimitReader(r, 1), readerFunc(func([]byte) (int, error) { cancel(); return 0, io.EOF }), r))
	}}
	if _, err := Save(ctx, bad, "a", sampleState(t), TakeOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left %v, %v", left, err)
	}
}

func TestSaveSaysWhatTakeCouldNot(t *testing.T) {
	vault, err := FolderVault(t.TempDir())
	check(t, err)
	gone := openRoot(t, t.TempDir())
	check(t, os.Remove(gone.Name()))
	if _, err := Save(t.Context(), vault, "a", gone, TakeOptions{}); err == nil || !strings.Contains(err.Error(), "take backup: it is gone") {
		t.Errorf("got %v", err)
	}
	contains(t, vault)
}

func TestSeries(t *testing.T) {
	s := Series{"photo-wall", "i-0abc"}
	name := s.Name(when.In(time.FixedZone("", 7200)))
	if name != "photo-wall-i-0abc-20260531T220000Z.tar.zst" {
		t.Errorf("name: %s", name)
	}
	check(t, CheckName(name))
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
	vault, err := FolderVault(t.TempDir())
	check(t, err)
	s, other := Series{"wall", "i-1"}, Series{"wall", "i-2"}
	for day := range 4 {
		for _, series := range []Series{s, other} {
			check(t, vault.Put(ctx, series.Name(when.AddDate(0, 0, day)), strings.NewReader("")))
		}
	}
	check(t, vault.Put(ctx, "notes.txt", strings.NewReader("")))
	deleted, err := Prune(ctx, vault, s, 2)
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
	if deleted, err := Prune(ctx, vault, s, 5); err != nil || len(deleted) > 0 {
		t.Errorf("keep more than there are: %v, %v", deleted, err)
	}
	if _, err := Prune(ctx, vault, s, 0); err == nil || err.Error() != "prune backups: 0 is not a number of backups to keep; keep at least 1" {
		t.Errorf("keep none: %v", err)
	}
}
