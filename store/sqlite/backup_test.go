package sqlite

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"popup/console"
	"popup/store"
)

func backedUp(t testing.TB, s console.Store) []byte {
	t.Helper()
	var b bytes.Buffer
	check(t, s.Backup(t.Context(), &b))
	return b.Bytes()
}

func TestRestoreBringsBack(t *testing.T) {
	from, to := opened(t, t.TempDir()), filepath.Join(t.TempDir(), "new")
	write(t, from, "a")
	copied := backedUp(t, from)
	write(t, from, "later")

	check(t, Restore(t.Context(), to, bytes.NewReader(copied)))
	if left := names(t, to); !slices.Equal(left, []string{"console.db", "console.lock"}) {
		t.Errorf("a restore leaves %v", left)
	}
	if info, err := os.Stat(filepath.Join(to, fileName)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("what was restored has mode %v, %v", info.Mode(), err)
	}
	s := opened(t, to)
	if !has(t, s, "a") || has(t, s, "later") {
		t.Error("a restored store is not what was backed up")
	}
	// Who followed the other one is told, whatever was seen of it.
	for i := range 3 {
		write(t, s, "n"+strconv.Itoa(i))
	}
	check(t, s.View(t.Context(), func(tx console.Tx) error {
		for after := range int64(5) {
			if changes, err := tx.Changes(after, 0); err == nil {
				t.Errorf("after a restore, whoever saw change %d is told only of %v", after, changes)
			}
		}
		return nil
	}))
	newest, err := store.VerifyAudit(t.Context(), s)
	if err != nil || newest.Seq != 4 {
		t.Errorf("the audit log goes on with entry %d, %v, want 4", newest.Seq, err)
	}
}

func TestRestoreRefuses(t *testing.T) {
	from := t.TempDir()
	s := opened(t, from)
	for i := range 300 {
		write(t, s, strconv.Itoa(i))
	}
	good := backedUp(t, s)
	changed := func(statements ...string) []byte {
		path := filepath.Join(t.TempDir(), "changed.db")
		check(t, os.WriteFile(path, good, 0o600))
		db := raw(t, path)
		execute(t, db, statements...)
		check(t, db.Close())
		bytes, err := os.ReadFile(path)
		check(t, err)
		return bytes
	}
	scratched := bytes.Clone(good)
	for i := len(scratched) / 2; i < len(scratched)/2+8000; i++ {
		scratched[i] ^= 0x55
	}
	for name, c := range map[string]struct {
		backup []byte
		says   string
	}{
		"nothing":          {nil, "no backup of a console"},
		"text":             {[]byte(strings.Repeat("<html>", 5000)), "no backup of a console"},
		"half":             {good[:len(good)/2], "damaged"},
		"scratched":        {scratched, "damaged"},
		"other database":   {changed("DROP TABLE migrations"), "no backup of a console"},
		"no migration":     {changed("DELETE FROM migrations"), "no backup of a console"},
		"newer":            {changed("INSERT INTO migrations VALUES (2, 'future', 'x', 0, 0)"), "a newer popup"},
		"another build":    {changed("UPDATE migrations SET checksum = 'x'"), "another build"},
		"audit changed":    {changed("DROP TRIGGER audit_is_not_changed", "UPDATE audit SET detail = 'x' WHERE seq = 7"), "broken at entry 7"},
		"audit left out":   {changed("DROP TRIGGER audit_is_not_removed", "DELETE FROM audit WHERE seq < 3"), "broken at entry 3"},
		"missing a column": {changed("ALTER TABLE audit RENAME COLUMN actor TO x"), "actor"},
	} {
		dir := t.TempDir()
		err := Restore(t.Context(), dir, bytes.NewReader(c.backup))
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want %q", name, err, c.says)
		}
		if left := names(t, dir); !slices.Equal(left, []string{"console.lock"}) {
			t.Errorf("%s: it leaves %v", name, left)
		}
	}

	for _, there := range []string{"console.db", "console.db-wal", "console.db-journal"} {
		dir := t.TempDir()
		check(t, os.WriteFile(filepath.Join(dir, there), []byte("precious"), 0o600))
		says(t, Restore(t.Context(), dir, bytes.NewReader(good)), "there already", there, "choose another folder")
		if kept, err := os.ReadFile(filepath.Join(dir, there)); err != nil || string(kept) != "precious" {
			t.Errorf("%s was overwritten: %q, %v", there, kept, err)
		}
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	says(t, Restore(gone, t.TempDir(), bytes.NewReader(good)), "context canceled")
}

// TestBackupIsOneState: a counter and what it counts are written together.
func TestBackupIsOneState(t *testing.T) {
	dir := t.TempDir()
	s := opened(t, dir)
	ctx, stop := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		for i := 1; ctx.Err() == nil; i++ {
			if err := s.Update(t.Context(), func(tx console.Tx) error {
				if err := tx.Put(console.Record{Kind: "thing", ID: strconv.Itoa(i), Doc: bytes.Repeat([]byte("x"), 3000)}); err != nil {
					return err
				}
				return tx.Put(console.Record{Kind: "counter", ID: "c", Doc: []byte(strconv.Itoa(i))})
			}); err != nil {
				t.Error(err)
			}
		}
	})
	defer writer.Wait()
	defer stop()
	for last := 0; last < 60; {
		to := t.TempDir()
		check(t, Restore(t.Context(), to, bytes.NewReader(backedUp(t, s))))
		check(t, opened(t, to).View(t.Context(), func(tx console.Tx) error {
			c, err := tx.Get("counter", "c")
			if err != nil {
				return nil // before the first
			}
			all, err := tx.List(console.Query{Kind: "thing"})
			if last, _ = strconv.Atoi(string(c.Doc)); len(all) != min(last, 1000) {
				t.Errorf("a backup has %d records, and counts %d", len(all), last)
			}
			return err
		}))
	}
	if left := names(t, dir); slices.ContainsFunc(left, func(name string) bool { return strings.HasPrefix(name, tempPrefix) }) {
		t.Errorf("backups leave %v", left)
	}
}

func TestLeftoversAreSwept(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{tempPrefix + "1", "tmp-other", "console.key"} {
		check(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	check(t, opened(t, dir).Close())
	if left := names(t, dir); !slices.Equal(left, []string{"console.db", "console.key", "console.lock", "tmp-other"}) {
		t.Errorf("there are %v", left)
	}
}
