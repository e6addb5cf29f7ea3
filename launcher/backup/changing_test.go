package backup

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"popup/internal/archive"
)

func newTaker(t *testing.T, state *os.Root) *taker {
	t.Helper()
	out, err := archive.NewWriter(io.Discard, archive.Manifest{})
	check(t, err)
	return &taker{state: state, out: out, done: map[string]bool{}}
}

func TestFileThatChangesWhileItIsRead(t *testing.T) {
	for name, change := range map[string]func(state *os.Root) error{
		"longer":  func(s *os.Root) error { return s.WriteFile("f", []byte("longer than before"), 0o644) },
		"shorter": func(s *os.Root) error { return s.WriteFile("f", nil, 0o644) },
		"as long": func(s *os.Root) error { return s.WriteFile("f", []byte("BEFORE"), 0o644) },
		"longer with its old time": func(s *os.Root) error {
			return errors.Join(s.WriteFile("f", []byte("longer than before"), 0o644), s.Chtimes("f", when, when.Add(-time.Hour+123456789)))
		},
		"gone":     func(s *os.Root) error { return s.Remove("f") },
		"replaced": func(s *os.Root) error { return s.Rename("other", "f") },
	} {
		t.Run(name, func(t *testing.T) {
			state := openRoot(t, t.TempDir())
			write(t, state, "f", "before")
			write(t, state, "other", "before")
			for _, last := range []bool{false, true} {
				tk := newTaker(t, state)
				g, err := tk.open("f")
				check(t, err)
				defer g.close()
				if !last {
					check(t, change(state))
				}
				again, err := tk.take(t.Context(), g, last)
				check(t, err)
				if !last && (!again || len(tk.out.Manifest.Entries) > 0) {
					t.Errorf("took it although it changed: %+v", tk.out.Manifest.Entries)
				}
				if last && (again || len(tk.out.Manifest.Entries) != 1) {
					t.Errorf("the last attempt took %+v", tk.out.Manifest.Entries)
				}
				write(t, state, "f", "before")
			}
		})
	}
}

func TestFileThatNeverHoldsStillIsMarked(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "f", "before")
	tk := newTaker(t, state)
	g, err := tk.open("f")
	check(t, err)
	defer g.close()
	check(t, state.WriteFile("f", []byte("after"), 0o644))
	_, err = tk.take(t.Context(), g, true)
	check(t, err)
	if got := tk.out.Manifest.Changed(); len(got) != 1 || got[0] != "f" {
		t.Errorf("changed: %v", got)
	}
}

func TestFileWrittenJustBeforeIsReadAgain(t *testing.T) {
	state := openRoot(t, t.TempDir())
	check(t, state.WriteFile("f", []byte("now"), 0o644))
	tk := newTaker(t, state)
	g, err := tk.open("f")
	check(t, err)
	g.opened = g.members[0].info.ModTime().Add(time.Millisecond)
	again, err := tk.take(t.Context(), g, false)
	g.close()
	check(t, err)
	if !again {
		t.Error("took it within the grain of its time")
	}
	if _, manifest := take(t, state); len(manifest.Changed()) > 0 {
		t.Errorf("changed: %v", manifest.Changed())
	}
}

// A writerFunc changes a file while it is streamed.
type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func TestBigFileThatChangesIsMarkedAndStillVerifies(t *testing.T) {
	for name, change := range map[string]func(file *os.File) error{
		"longer":  func(f *os.File) error { _, err := f.Write([]byte("more")); return err },
		"shorter": func(f *os.File) error { return f.Truncate(1 << 20) },
		"not":     func(*os.File) error { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			state := openRoot(t, t.TempDir())
			noise := make([]byte, 0, mostInMemory+1<<20)
			for i := uint64(88172645463325252); len(noise) < cap(noise); i ^= i << 17 {
				i ^= i << 13
				i ^= i >> 7
				noise = append(noise, byte(i), byte(i>>8), byte(i>>16), byte(i>>24))
			}
			write(t, state, "big", string(noise))
			file, err := state.OpenFile("big", os.O_WRONLY|os.O_APPEND, 0)
			check(t, err)
			defer closing(t, file)
			var packed bytes.Buffer
			changed := false
			manifest, err := Take(t.Context(), state, writerFunc(func(p []byte) {
				if !changed {
					changed = true
					check(t, change(file))
				}
				packed.Write(p)
			}), TakeOptions{At: when})
			check(t, err)
			if want := name != "not"; manifest.Entries[0].Changed != want {
				t.Errorf("changed is %v, want %v", manifest.Entries[0].Changed, want)
			}
			verified, err := archive.Verify(t.Context(), &packed, archive.Limits{})
			check(t, err)
			if diff := cmp.Diff(manifest, verified); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestDatabaseInUse backs up an SQLite database while a program has it open and
// its newest rows are in the write-ahead log alone.
func TestDatabaseInUse(t *testing.T) {
	state := openRoot(t, t.TempDir())
	app := exec.Command("sqlite3", "-batch", filepath.Join(state.Name(), "app.db"))
	stdin, err := app.StdinPipe()
	check(t, err)
	stdout, err := app.StdoutPipe()
	check(t, err)
	check(t, app.Start())
	defer func() { check(t, errors.Join(stdin.Close(), app.Wait())) }()
	_, err = io.WriteString(stdin, "PRAGMA journal_mode=WAL; CREATE TABLE bid(n); INSERT INTO bid VALUES (1),(2),(3); SELECT 'ready';\n")
	check(t, err)
	for lines := bufio.NewScanner(stdout); lines.Scan() && lines.Text() != "ready"; {
	}
	packed, manifest := take(t, state)
	var got []string
	for _, e := range manifest.Entries {
		if !e.Database || e.Changed {
			t.Errorf("%s: database %v, changed %v", e.Path, e.Database, e.Changed)
		}
		got = append(got, string(e.Path))
	}
	if diff := cmp.Diff([]string{"app.db", "app.db-wal", "app.db-shm"}, got); diff != "" {
		t.Error(diff)
	}
	target := openRoot(t, t.TempDir())
	_, err = Restore(t.Context(), bytes.NewReader(packed), target, archive.Limits{})
	check(t, err)
	rows, err := exec.Command("sqlite3", filepath.Join(target.Name(), "app.db"), "PRAGMA integrity_check; SELECT count(*) FROM bid;").CombinedOutput()
	if err != nil || strings.TrimSpace(string(rows)) != "ok\n3" {
		t.Errorf("the restored database: %s, %v", rows, err)
	}
}

func TestDatabaseWhoseJournalComesMeanwhile(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "a.db", sqliteHeader+"page")
	tk := newTaker(t, state)
	g, err := tk.open("a.db")
	check(t, err)
	defer g.close()
	write(t, state, "a.db-wal", "frames")
	if again, err := tk.take(t.Context(), g, false); err != nil || !again {
		t.Errorf("again %v, %v", again, err)
	}
}
