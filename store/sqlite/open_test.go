package sqlite

import (
	"context"
	"database/sql"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"popup/console"
	"popup/store"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says fails where an error does not say all the words.
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

func opened(t testing.TB, dir string) *store.Store {
	t.Helper()
	s, err := Open(t.Context(), dir)
	check(t, err)
	t.Cleanup(func() { check(t, s.Close()) })
	return s
}

func write(t testing.TB, s console.Store, id string) {
	t.Helper()
	check(t, s.Update(t.Context(), func(tx console.Tx) error {
		if err := tx.Audit(console.AuditEntry{Action: "put", Object: id}); err != nil {
			return err
		}
		return tx.Put(console.Record{Kind: "thing", ID: id, Name: id})
	}))
}

func has(t testing.TB, s console.Store, id string) bool {
	t.Helper()
	return s.View(t.Context(), func(tx console.Tx) error { _, err := tx.Get("thing", id); return err }) == nil
}

// raw is the database behind a store's back.
func raw(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	check(t, err)
	t.Cleanup(func() { db.Close() })
	return db
}

func execute(t testing.TB, db *sql.DB, statements ...string) {
	t.Helper()
	for _, s := range statements {
		if _, err := db.ExecContext(t.Context(), s); err != nil {
			t.Fatalf("%s: %v", s, err)
		}
	}
}

func names(t testing.TB, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	check(t, err)
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

func TestFolderIsKeptFromOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "a ?#%20[b]*")
	s := opened(t, dir)
	write(t, s, "a")
	for _, path := range []string{"console.db", "console.db-wal", "console.db-shm", "console.lock"} {
		info, err := os.Stat(filepath.Join(dir, path))
		check(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %v, want 0600", path, info.Mode())
		}
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v, want 0700", info.Mode(), err)
	}
	_, err := Open(t.Context(), dir)
	says(t, err, "in use by another console", "process "+strconv.Itoa(os.Getpid()), "choose another folder")
	says(t, Restore(t.Context(), dir, strings.NewReader("")), "in use by another console")
	check(t, s.Close())
	if !has(t, opened(t, dir), "a") {
		t.Error("what was written is gone when opened again")
	}
}

func TestCommitsAreSynced(t *testing.T) {
	dir := t.TempDir()
	check(t, opened(t, dir).Close())
	for name, pragmas := range map[string][]string{"writer": {"journal_mode(WAL)"}, "reader": {"query_only(1)"}} {
		db, err := database(filepath.Join(dir, fileName), 1, pragmas...)
		check(t, err)
		defer db.Close()
		for pragma, want := range map[string]string{"synchronous": "2", "journal_mode": "wal", "foreign_keys": "1", "trusted_schema": "0"} {
			var got string
			check(t, db.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got))
			if got != want {
				t.Errorf("a %s has %s %s, want %s", name, pragma, got, want)
			}
		}
	}
}

// TestAnotherProgramWrites: sqlite3 on the command line is enough for that.
func TestAnotherProgramWrites(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	db := raw(t, filepath.Join(dir, fileName))
	db.SetMaxOpenConns(1)
	execute(t, db, "BEGIN IMMEDIATE")
	done := make(chan error)
	go func() {
		done <- s.Update(t.Context(), func(tx console.Tx) error { return tx.Put(console.Record{Kind: "thing", ID: "a"}) })
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	select {
	case err := <-done:
		t.Fatalf("a write is %v while another program writes", err)
	case <-ctx.Done():
	}
	if has(t, s, "a") {
		t.Error("it is there before it could be")
	}
	<-time.After(1200 * time.Millisecond) // longer than SQLite waits by itself
	execute(t, db, "ROLLBACK")
	check(t, <-done)
	if !has(t, s, "a") {
		t.Error("when the other program is done, the write is not made")
	}
}

func TestAuditIsOnlyAddedTo(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	write(t, s, "a")
	write(t, s, "b")
	db := raw(t, filepath.Join(dir, fileName))
	for _, statement := range []string{
		"UPDATE audit SET actor = 'x' WHERE seq = 1",
		"DELETE FROM audit WHERE seq = 2",
		"DELETE FROM audit",
		"INSERT OR REPLACE INTO audit SELECT seq, at, 'x', action, object, detail, prev, hash FROM audit WHERE seq = 2",
		"INSERT INTO audit SELECT seq + 2, at, 'x', action, object, detail, hash, hash FROM audit WHERE seq = 2",
		"INSERT INTO audit SELECT 3, at, 'x', action, object, detail, prev, hash FROM audit WHERE seq = 2",
	} {
		_, err := db.ExecContext(t.Context(), statement)
		says(t, err, "only added to")
	}
	_, err := store.VerifyAudit(t.Context(), s)
	check(t, err)
	execute(t, db, "DROP TRIGGER audit_is_not_changed", "UPDATE audit SET actor = 'x' WHERE seq = 1")
	_, err = store.VerifyAudit(t.Context(), s)
	says(t, err, "broken at entry 1")
}

func TestDamageIsSaid(t *testing.T) {
	dir := t.TempDir()
	check(t, os.WriteFile(filepath.Join(dir, fileName), []byte(strings.Repeat("no database ", 1000)), 0o600))
	_, err := Open(t.Context(), dir)
	says(t, err, "damaged", "restore a backup", dir)
	check(t, os.Remove(filepath.Join(dir, fileName)))
	opened(t, dir) // the lock was given back
	_, err = Open(t.Context(), filepath.Join(dir, fileName, "x"))
	says(t, err, "not a directory")
}
