package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"popup/console"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func says(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, want it to say %q", err, word)
		}
	}
}

// with opens a store that is at the end of the steps.
func with(t testing.TB, path string, opts Options, steps []migration) (*Store, error) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	db.SetMaxOpenConns(1)
	s, err := open(t.Context(), db, opts, steps)
	if err != nil {
		check(t, db.Close())
		return nil, err
	}
	t.Cleanup(func() { check(t, s.Close()) })
	return s, nil
}

func put(s *Store, id string) error {
	return s.Update(context.Background(), func(tx console.Tx) error { return tx.Put(console.Record{Kind: "thing", ID: id}) })
}

// TestReleasedMigrationsStay: what is in the field has taken them as they were. A line
// here is never edited; a new migration adds one.
func TestReleasedMigrationsStay(t *testing.T) {
	released := []string{"9235e6a7ddd6dce7ac40e0ef9eb5612086fdc0e99d23fa6e562ee7946e2fb905"}
	var now []string
	for i, m := range migrations {
		now = append(now, m.checksum())
		if i > 0 && !m.compatible {
			t.Errorf("%s is not compatible: consoles of the version before it run beside the first that takes it", m.name)
		}
	}
	if !slices.Equal(now, released) {
		t.Errorf("migrations are %q, released were %q", now, released)
	}
}

func TestMigrationsGoForwardAndOneBack(t *testing.T) {
	steps := slices.Concat(migrations, []migration{
		{name: "colours", compatible: true, statements: []string{
			`ALTER TABLE objects ADD COLUMN colour TEXT NOT NULL DEFAULT ''`, `CREATE INDEX objects_colour ON objects (kind, colour)`}},
		{name: "all anew", statements: []string{`CREATE TABLE anew (x)`}},
	})
	path, n := filepath.Join(t.TempDir(), "db"), len(migrations)
	for _, c := range []struct {
		known int
		says  string // empty: it opens
	}{
		{n, ""},
		{n + 1, ""},
		{n, ""}, // taken back by one, it reads and writes
		{n + 1, ""},
		{n + 2, ""},
		{n + 2, ""},
		{n + 1, "a newer popup wrote the database"},
		{n, "a newer popup wrote the database"},
		{n + 2, ""},
	} {
		s, err := with(t, path, Options{}, steps[:c.known])
		if c.says != "" {
			says(t, err, c.says, "all anew", "use that version")
			continue
		}
		check(t, err)
		check(t, put(s, time.Now().String()))
		check(t, s.Close())
	}
	edited := slices.Clone(steps)
	edited[1].statements = []string{"CREATE TABLE other (x)"}
	_, err := with(t, path, Options{}, edited)
	says(t, err, "is not the one known here", "colours")
	s, err := with(t, path, Options{}, steps)
	check(t, err)
	check(t, s.update(t.Context(), func(tx *tx) error { return tx.exec("DELETE FROM migrations WHERE number = 2") }))
	check(t, s.Close())
	_, err = with(t, path, Options{}, steps)
	says(t, err, "lacks migration 2")
}

func TestFailedMigrationLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	bad := slices.Concat(migrations, []migration{{name: "typo", statements: []string{"CREATE TABLE fine (x)", "CREATE TABEL"}}})
	_, err := with(t, path, Options{}, bad)
	says(t, err, "open the store", "take migration 2, typo", "TABEL")
	s, err := with(t, path, Options{}, migrations)
	check(t, err)
	found := false
	check(t, s.update(t.Context(), func(tx *tx) (err error) {
		var n int
		found, err = tx.one([]any{&n}, "SELECT 1 FROM sqlite_schema WHERE name = 'fine'")
		return err
	}))
	if found {
		t.Error("half a migration is there")
	}
}

func TestUpdateTriesAgain(t *testing.T) {
	passes := func(err error) bool {
		return strings.Contains(err.Error(), "nosuch") || strings.Contains(err.Error(), "cannot commit")
	}
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{Retry: passes}, migrations)
	check(t, err)
	for name, swallow := range map[string]bool{"said": false, "swallowed": true} {
		runs := 0
		check(t, s.update(t.Context(), func(tx *tx) error {
			if err := tx.Put(console.Record{Kind: "thing", ID: name}); err != nil {
				return err
			}
			if runs++; runs < 4 {
				if err := tx.exec("INSERT INTO nosuch VALUES (1)"); !swallow {
					return err
				}
			}
			return nil
		}))
		if changes := newest(t, s); runs != 4 || changes != 1 {
			t.Errorf("%s: the function ran %d times and made changes up to %d, want 4 runs, one change", name, runs, changes)
		}
		check(t, s.update(t.Context(), func(tx *tx) error { return tx.Delete("thing", name) }))
		check(t, s.update(t.Context(), func(tx *tx) error {
			_, err := tx.Forget(time.Now().Add(time.Hour))
			return errors.Join(err, tx.exec("UPDATE marks SET value = 0"))
		}))
	}
	busy := func(tx *tx) error { return tx.exec("INSERT INTO nosuch VALUES (1)") }
	s.opts.Patience = 50 * time.Millisecond
	if err := s.update(t.Context(), busy); !errors.Is(err, console.ErrUnavailable) {
		t.Errorf("a store that is not free: %v", err)
	} else {
		says(t, err, "was not free for 50ms", "nosuch")
	}
	s.opts.Patience = time.Minute
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.update(ctx, busy); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a retry is not ended by its context: %v", err)
	}
	runs := 0
	says(t, s.update(t.Context(), func(tx *tx) error { runs++; return tx.exec("INSERT INTO marks VALUES (NULL, NULL)") }), "write to the store")
	if runs != 1 {
		t.Errorf("what does not pass was tried %d times", runs)
	}
	runs = 0
	err = s.update(t.Context(), func(tx *tx) error { runs++; return tx.exec("COMMIT") })
	if says(t, err, "cannot commit"); runs != 1 || !errors.Is(err, console.ErrUncertain) {
		t.Errorf("a commit that may have happened was tried %d times", runs)
	}
}

// TestOneWritesAtATime: of several connections, too.
func TestOneWritesAtATime(t *testing.T) {
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	s.db.SetMaxOpenConns(4)
	var all sync.WaitGroup
	var inside atomic.Int32
	for range 4 {
		all.Go(func() {
			for range 10 {
				if err := s.update(t.Context(), func(*tx) error {
					if n := inside.Add(1); n > 1 {
						t.Errorf("%d write at once", n)
					}
					<-time.After(time.Millisecond) // long enough to be met
					inside.Add(-1)
					return nil
				}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

func newest(t testing.TB, s *Store) (seq int64) {
	t.Helper()
	check(t, s.View(t.Context(), func(tx console.Tx) (err error) { seq, err = tx.Newest(); return err }))
	return seq
}

// TestFailedTxWritesNothing: a database that ended a transaction by itself would take
// each further statement as one of its own.
func TestFailedTxWritesNothing(t *testing.T) {
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	says(t, s.update(t.Context(), func(tx *tx) error {
		tx.exec("ROLLBACK")                      //nolint:errcheck // as a full disk does
		tx.exec("INSERT INTO nosuch VALUES (1)") //nolint:errcheck // the error
		if err := tx.Put(console.Record{Kind: "thing", ID: "a"}); err == nil {
			t.Error("after an error, a record is put")
		}
		return nil // as if nothing had been
	}), "nosuch")
	says(t, s.update(t.Context(), func(tx *tx) error { return tx.exec("COMMIT") }), "commit to the store")
	var over *tx
	check(t, s.update(t.Context(), func(tx *tx) error { over = tx; return nil }))
	says(t, over.Put(console.Record{Kind: "thing", ID: "a"}), "this transaction is over")
	check(t, put(s, "b"))
	check(t, s.View(t.Context(), func(tx console.Tx) error {
		all, err := tx.List(console.Query{Kind: "thing"})
		if len(all) != 1 || all[0].ID != "b" {
			t.Errorf("there are %v", all)
		}
		return err
	}))
}

// TestChangesOutliveAClockThatJumps: what is forgotten goes by the clock, and what a
// reader may ask for by the numbers.
func TestChangesOutliveAClockThatJumps(t *testing.T) {
	now := time.UnixMilli(1_000_000)
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{Now: func() time.Time { return now }}, migrations)
	check(t, err)
	for i, at := range []int64{100, 900, 50, 200} {
		now = time.UnixMilli(at)
		check(t, put(s, string(rune('a'+i))))
	}
	check(t, s.Update(t.Context(), func(tx console.Tx) error {
		n, err := tx.Forget(time.UnixMilli(150))
		if n != 2 {
			t.Errorf("%d changes are forgotten, want those of 100 and 50", n)
		}
		return err
	}))
	check(t, s.View(t.Context(), func(tx console.Tx) error {
		if _, err := tx.Changes(1, 0); !errors.Is(err, console.ErrForgotten) {
			t.Errorf("whoever saw change 1 misses 3, and is told %v", err)
		}
		changes, err := tx.Changes(3, 0)
		if len(changes) != 1 || changes[0].Seq != 4 || !changes[0].At.Equal(time.UnixMilli(200)) {
			t.Errorf("after change 3 come %v", changes)
		}
		return err
	}))
}

func TestAuditHashIsPinned(t *testing.T) {
	e := console.AuditEntry{Seq: 1, At: time.UnixMilli(1_900_000_000_123), Actor: "u", Action: "end", Object: "event e", Detail: "ü", Prev: []byte{1, 2}}
	if got := hex.EncodeToString(AuditHash(e)); got != "a8b5b62d9389fdf6a0862203bd82d5e691fec57fe3636408652819999a752ba1" {
		t.Errorf("the hash is %s: no log that was written before would verify", got)
	}
}
