package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Import copies all that another store holds into this one, which must hold nothing, in
// one transaction, and says how many rows each table had. The numbers of changes and the
// audit log's hashes stay, so whoever followed the other store goes on with this one.
// Nobody may write to the other store meanwhile.
func (s *Store) Import(ctx context.Context, from *Store) (rows map[string]int64, err error) {
	err = s.update(ctx, func(to *tx) error {
		source, err := from.snapshot(ctx)
		if err != nil {
			return err
		}
		defer source.end()
		rows, err = fill(to, source)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("import a store: %w", err)
	}
	return rows, nil
}

func fill(to, from *tx) (map[string]int64, error) {
	newest, err := to.Newest()
	if err != nil {
		return nil, err
	}
	log, err := to.AuditLog(0, 1)
	if err != nil {
		return nil, err
	}
	if newest != 0 || len(log) > 0 {
		return nil, errors.New("there is something in the store that it would go into; only an empty one is filled")
	}
	steps := make([]int, 2)
	for i, t := range []*tx{from, to} {
		if _, err := t.one([]any{&steps[i]}, "SELECT COUNT(*) FROM migrations"); err != nil {
			return nil, err
		}
	}
	if steps[0] > steps[1] {
		return nil, errors.New("a newer popup wrote it, and this one would leave out what it does not know: do this with the newer one, and go back to this one afterwards")
	}
	var tables []string
	err = from.query(func(rows *sql.Rows) error {
		var name string
		err := rows.Scan(&name)
		tables = append(tables, name)
		return err
	}, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name <> 'migrations' ORDER BY name")
	if err != nil {
		return nil, err
	}
	counts := map[string]int64{}
	for _, table := range tables {
		// A migration may have laid rows into a new table.
		if err := to.exec("DELETE FROM " + table); err != nil {
			return nil, err
		}
		if err := copyTable(to, from, table); err != nil {
			return nil, fmt.Errorf("table %s: %w", table, err)
		}
		if counts[table], err = sameCount(to, from, table); err != nil {
			return nil, err
		}
	}
	return counts, nil
}

// together is how many rows one statement writes: each costs a cluster a round trip.
const together = 25

func copyTable(to, from *tx, table string) error {
	var columns []string
	var values []any
	var wrong error // of the other side than the query's
	flush := func() error {
		if len(values) == 0 {
			return nil
		}
		row := "(?" + strings.Repeat(", ?", len(columns)-1) + ")"
		statement := "INSERT INTO " + table + " (" + strings.Join(columns, ", ") + ") VALUES " + row + strings.Repeat(", "+row, len(values)/len(columns)-1)
		err := to.exec(statement, values...)
		values = values[:0]
		return err
	}
	err := from.query(func(rows *sql.Rows) (err error) {
		if columns == nil {
			if columns, err = rows.Columns(); err != nil {
				return err
			}
		}
		row := make([]any, len(columns))
		into := make([]any, len(columns))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return err
		}
		for i := range row {
			if b, ok := row[i].([]byte); ok && b == nil {
				row[i] = []byte{} // else it would come in as NULL
			}
		}
		if values = append(values, row...); len(values) < together*len(columns) {
			return nil
		}
		wrong = flush()
		return wrong
	}, "SELECT * FROM "+table+" ORDER BY rowid") // the audit log is only added to in order
	if wrong != nil || err != nil {
		return cmp.Or(wrong, err)
	}
	return flush()
}

func sameCount(to, from *tx, table string) (int64, error) {
	counts := make([]int64, 2)
	for i, t := range []*tx{from, to} {
		if _, err := t.one([]any{&counts[i]}, "SELECT COUNT(*) FROM "+table); err != nil {
			return 0, err
		}
	}
	if slices.Min(counts) != slices.Max(counts) {
		return 0, fmt.Errorf("table %s has %d rows, and %d of them came: nothing was imported", table, counts[0], counts[1])
	}
	return counts[0], nil
}
