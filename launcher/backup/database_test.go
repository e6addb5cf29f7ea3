package backup

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"popup/internal/archive"
)

const database = sqliteHeader + "and pages"

// TestDatabaseIsCopied by who can, with nothing beside it that the copy holds already.
func TestDatabaseIsCopied(t *testing.T) {
	state := openRoot(t, t.TempDir())
	for name, content := range map[string]string{
		"a.db": database, "a.db-wal": "newer pages", "a.db-shm": "locks", "b.db-journal": "of no database", "b.txt": "words", "c.db": database,
		"a.db-2": database,
	} {
		write(t, state, name, content)
	}
	check(t, state.Mkdir("c.db-wal", 0o755)) // of the app's own making
	asked := []string{}
	copier := func(_ context.Context, name string, use func(int64, io.Reader) error) error {
		asked = append(asked, name)
		switch name {
		case "a.db":
			write(t, state, "a.db-journal", "it came meanwhile")
			check(t, state.Remove("a.db-wal"))
		case "a.db-2":
			write(t, state, "a.db-wal", "it came back meanwhile")
		}
		return use(6, strings.NewReader("copied"))
	}
	var packed bytes.Buffer
	_, err := Take(t.Context(), state, &packed, TakeOptions{Copy: copier})
	check(t, err)
	target := openRoot(t, t.TempDir())
	m, err := Restore(t.Context(), &packed, target, archive.Limits{})
	check(t, err)
	var got []string
	for _, e := range m.Entries {
		got = append(got, string(e.Path))
	}
	if text := strings.Join(got, " "); text != "a.db a.db-2 b.db-journal b.txt c.db c.db-wal" || len(m.Notes) > 0 || strings.Join(asked, " ") != "a.db a.db-2 c.db" {
		t.Errorf("it holds %s, notes %v, and %v were asked for", text, m.Notes, asked)
	}
	if content, err := target.ReadFile("a.db"); err != nil || string(content) != "copied" || !m.Entries[0].Database || m.Entries[0].Changed {
		t.Errorf("the copy is %q, %v: %+v", content, err, m.Entries[0])
	}
}

// TestDatabaseThatIsNotCopied is kept as it is on disk, and the archive says so.
func TestDatabaseThatIsNotCopied(t *testing.T) {
	for _, c := range []struct {
		name   string
		copier CopyDatabase
		want   string // of a.db
		note   string
		also   bool // its journal is kept, too
	}{
		{"locked", func(context.Context, string, func(int64, io.Reader) error) error { return errors.New("it is locked") },
			database, `database "a.db" was read like any file, since SQLite could not copy it: it is locked`, true},
		{"cut short", func(_ context.Context, _ string, use func(int64, io.Reader) error) error {
			return use(10, strings.NewReader("half"))
		}, "half\x00\x00\x00\x00\x00\x00", `the copy of database "a.db" broke off after 4 of 10 bytes`, false},
		{"an error half-way", func(_ context.Context, _ string, use func(int64, io.Reader) error) error {
			return use(10, io.MultiReader(strings.NewReader("half"), readerFunc(func([]byte) (int, error) { return 0, errors.New("killed") })))
		}, "half\x00\x00\x00\x00\x00\x00", `the copy of database "a.db" broke off after 4 of 10 bytes`, false},
		{"too much", func(_ context.Context, _ string, use func(int64, io.Reader) error) error {
			return use(4, strings.NewReader("half and more"))
		}, "half", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			state, calls := openRoot(t, t.TempDir()), 0
			write(t, state, "a.db", database)
			write(t, state, "a.db-wal", "newer pages")
			counting := func(ctx context.Context, name string, use func(int64, io.Reader) error) error {
				calls++
				return c.copier(ctx, name, use)
			}
			var packed bytes.Buffer
			_, err := Take(t.Context(), state, &packed, TakeOptions{Copy: counting})
			check(t, err)
			target := openRoot(t, t.TempDir())
			m, err := Restore(t.Context(), &packed, target, archive.Limits{})
			check(t, err)
			content, err := target.ReadFile("a.db")
			check(t, err)
			_, journal := target.Lstat("a.db-wal")
			if string(content) != c.want || strings.Join(m.Notes, "") != c.note || (journal == nil) != c.also || calls != 1 {
				t.Errorf("it holds %q (journal: %v), notes %v, after %d calls", content, journal, m.Notes, calls)
			}
			if broke := strings.HasPrefix(c.note, "the copy"); m.Entries[0].Changed != broke {
				t.Errorf("it is changed: %v", m.Entries[0].Changed)
			}
		})
	}
}

// TestCopierThatHangs ends with the backup.
func TestCopierThatHangs(t *testing.T) {
	state := openRoot(t, t.TempDir())
	write(t, state, "a.db", database)
	ctx, cancel := context.WithCancel(t.Context())
	hang := func(ctx context.Context, _ string, _ func(int64, io.Reader) error) error {
		cancel()
		<-ctx.Done()
		return ctx.Err()
	}
	if _, err := Take(ctx, state, io.Discard, TakeOptions{Copy: hang}); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
