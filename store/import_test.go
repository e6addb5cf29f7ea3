package store

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"popup/console"
)

// filled is a store with something in each table, and more than one statement takes.
func filled(t *testing.T) *Store {
	t.Helper()
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	for i := range 3*together + 1 {
		check(t, s.Update(t.Context(), func(tx console.Tx) error {
			r := console.Record{Kind: "thing", ID: fmt.Sprint(i), Doc: []byte{0, 255, byte(i)}}
			if i%2 == 0 {
				r.Name, r.Due = "näme "+r.ID, time.UnixMilli(int64(i))
			}
			if err := tx.Put(r); err != nil {
				return err
			}
			return tx.Audit(console.AuditEntry{Action: "put", Object: r.ID})
		}))
	}
	check(t, s.Update(t.Context(), func(tx console.Tx) error { return tx.Delete("thing", "1") }))
	return s
}

// rowsOf are a store's rows, with their types.
func rowsOf(t *testing.T, s *Store, table string) (all []string) {
	t.Helper()
	check(t, s.update(t.Context(), func(tx *tx) error {
		return tx.query(func(rows *sql.Rows) error {
			columns, err := rows.Columns()
			check(t, err)
			row, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range row {
				into[i] = &row[i]
			}
			err = rows.Scan(into...)
			all = append(all, fmt.Sprintf("%#v", row))
			return err
		}, "SELECT * FROM "+table+" ORDER BY rowid")
	}))
	return all
}

func TestImportTakesEverything(t *testing.T) {
	from := filled(t)
	to, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	changed := to.Changed()
	counts, err := to.Import(t.Context(), from)
	check(t, err)
	select {
	case <-changed:
	default:
		t.Error("who waits for a change is not told")
	}
	for table, least := range map[string]int64{"objects": 75, "changes": 77, "audit": 76, "marks": 1} {
		was, is := rowsOf(t, from, table), rowsOf(t, to, table)
		if !slices.Equal(was, is) || counts[table] != int64(len(was)) || counts[table] < least {
			t.Errorf("%s: %d rows are there of %d, and %d were counted", table, len(is), len(was), counts[table])
		}
	}
	if len(counts) != 4 {
		t.Errorf("the tables are %v", counts)
	}
	if newest(t, to) != newest(t, from) {
		t.Errorf("the newest change is %d, want %d", newest(t, to), newest(t, from))
	}
	_, err = VerifyAudit(t.Context(), to)
	check(t, err)
	check(t, put(to, "after"))
}

func TestImportOnlyFillsAnEmptyStore(t *testing.T) {
	from := filled(t)
	for name, write := range map[string]func(console.Tx) error{
		"a record":       func(tx console.Tx) error { return tx.Put(console.Record{Kind: "thing", ID: "mine"}) },
		"an audit entry": func(tx console.Tx) error { return tx.Audit(console.AuditEntry{Action: "look"}) },
	} {
		to, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
		check(t, err)
		check(t, to.Update(t.Context(), write))
		before := newest(t, to)
		_, err = to.Import(t.Context(), from)
		says(t, err, "import a store", "only an empty one")
		if newest(t, to) != before {
			t.Errorf("%s: something was written", name)
		}
	}
}

// TestImportIsAllOrNothing: a row that the store refuses leaves it empty.
func TestImportIsAllOrNothing(t *testing.T) {
	from := filled(t)
	check(t, from.update(t.Context(), func(tx *tx) error {
		return tx.exec("CREATE TABLE zzz (x); INSERT INTO zzz VALUES (1)")
	}))
	to, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	_, err = to.Import(t.Context(), from)
	says(t, err, "import a store", "zzz")
	if left := rowsOf(t, to, "objects"); len(left) > 0 || newest(t, to) != 0 {
		t.Errorf("%d rows are left of it", len(left))
	}
	check(t, put(to, "after"))
}

// TestImportLeavesNothingOut: a popup that was taken back by one version does not know all
// that there is.
func TestImportLeavesNothingOut(t *testing.T) {
	path := filepath.Join(t.TempDir(), "db")
	newer := slices.Concat(migrations, []migration{{name: "colours", compatible: true, statements: []string{`CREATE TABLE colours (name TEXT)`}}})
	from, err := with(t, path, Options{}, newer)
	check(t, err)
	check(t, put(from, "a"))
	check(t, from.Close())
	from, err = with(t, path, Options{}, migrations)
	check(t, err)
	to, err := with(t, filepath.Join(t.TempDir(), "db"), Options{}, migrations)
	check(t, err)
	_, err = to.Import(t.Context(), from)
	says(t, err, "a newer popup wrote it", "do this with the newer one")
	if newest(t, to) != 0 {
		t.Error("something was imported")
	}
}
