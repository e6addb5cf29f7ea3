//go:build dqlite

package operating

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popup/console"
	"popup/store"
	"popup/store/sqlite"
)

// kept is what a backup holds.
type kept struct {
	steps  []string // the migrations' names
	events []string // the name and the document of each
	audit  []string // the hash of each entry, the first one first
}

// restored looks at a backup in the way of a console alone that it becomes.
func restored(t *testing.T, file string) (k kept) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	f, err := os.Open(file)
	must(t, err)
	defer f.Close()
	must(t, sqlite.Restore(t.Context(), dir, f))
	s, err := sqlite.Open(t.Context(), dir)
	must(t, err)
	_, err = store.VerifyAudit(t.Context(), s)
	must(t, err)
	must(t, s.View(t.Context(), func(tx console.Tx) error {
		for q := (console.Query{Kind: "event"}); ; {
			page, err := tx.List(q)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, r := range page {
				k.events = append(k.events, fmt.Sprintf("%s %s %s", r.Name, r.ID, r.State))
			}
			q.After = &page[len(page)-1]
		}
	}))
	must(t, s.View(t.Context(), func(tx console.Tx) error {
		for before := int64(0); ; {
			page, err := tx.AuditLog(before, 0)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, e := range page {
				k.audit = append(k.audit, fmt.Sprintf("%d %x", e.Seq, e.Hash))
			}
			before = page[len(page)-1].Seq
		}
	}))
	slices.Reverse(k.audit)
	must(t, s.Close())
	k.steps = migrations(t, filepath.Join(dir, "console.db"))
	return k
}

func migrations(t *testing.T, file string) (names []string) {
	t.Helper()
	db, err := sql.Open("sqlite", file)
	must(t, err)
	defer db.Close()
	rows, err := db.QueryContext(context.Background(), "SELECT name FROM migrations ORDER BY number")
	must(t, err)
	defer rows.Close()
	for rows.Next() {
		var name string
		must(t, rows.Scan(&name))
		names = append(names, name)
	}
	must(t, rows.Err())
	return names
}

// follows fails where what was is not all there, as it was.
func (k kept) follows(t *testing.T, name string, was kept) {
	t.Helper()
	if len(k.audit) < len(was.audit) || !slices.Equal(k.audit[:len(was.audit)], was.audit) {
		t.Errorf("%s: the audit log has %d entries, and does not go on from the %d that there were", name, len(k.audit), len(was.audit))
	}
	for _, e := range was.events {
		if !slices.Contains(k.events, e) {
			t.Errorf("%s: event %s is not there as it was", name, strings.Fields(e)[0])
		}
	}
}
