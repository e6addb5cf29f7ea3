package store

import (
	"context"
	"database/sql"
	"time"

	"popup/console"
)

// note adds a change and returns its number. Who writes is alone, so that numbers are
// in the order of commits: whoever read one has seen all before it.
func (t *tx) note(kind console.Kind, id, topic string, removed bool) (int64, error) {
	if t.last == 0 {
		last, err := t.Newest()
		if err != nil {
			return 0, err
		}
		t.last = last
	}
	t.last++
	return t.last, t.exec("INSERT INTO changes (seq, at, kind, id, topic, removed) VALUES (?, ?, ?, ?, ?, ?)",
		t.last, t.store.opts.Now().UnixMilli(), string(kind), id, topic, removed)
}

// Newest implements console.Tx. Numbers are not used again, though changes are forgotten.
func (t *tx) Newest() (newest int64, err error) {
	_, err = t.one([]any{&newest}, `SELECT max(value, (SELECT COALESCE(MAX(seq), 0) FROM changes)) FROM marks WHERE name = 'forgotten'`)
	return newest, err
}

// forgotten is the newest change that is no longer kept.
func (t *tx) forgotten() (seq int64, err error) {
	_, err = t.one([]any{&seq}, "SELECT value FROM marks WHERE name = 'forgotten'")
	return seq, err
}

// Changes implements console.Tx.
func (t *tx) Changes(after int64, most int) (changes []console.Change, err error) {
	forgotten, err := t.forgotten()
	if err != nil {
		return nil, err
	}
	newest, err := t.Newest()
	if err != nil {
		return nil, err
	}
	if after < forgotten || after > newest {
		return nil, console.ErrForgotten
	}
	err = t.query(func(rows *sql.Rows) error {
		var c console.Change
		var at int64
		err := rows.Scan(&c.Seq, &at, &c.Kind, &c.ID, &c.Topic, &c.Removed)
		c.At = time.UnixMilli(at).UTC()
		changes = append(changes, c)
		return err
	}, "SELECT seq, at, kind, id, topic, removed FROM changes WHERE seq > ? ORDER BY seq LIMIT ?", after, limit(most))
	return changes, err
}

// Forget implements console.Tx.
func (t *tx) Forget(before time.Time) (count int64, err error) {
	if err := t.writable(); err != nil {
		return 0, err
	}
	var newest sql.NullInt64
	if _, err = t.one([]any{&count, &newest}, "SELECT COUNT(*), MAX(seq) FROM changes WHERE at < ?", before.UnixMilli()); err != nil || count == 0 {
		return 0, err
	}
	if err := t.exec("DELETE FROM changes WHERE at < ?", before.UnixMilli()); err != nil {
		return 0, err
	}
	return count, t.exec("UPDATE marks SET value = max(value, ?) WHERE name = 'forgotten'", newest.Int64)
}

// rewound is how far numbers jump when a store was taken back to an earlier state:
// further than any store gets in between.
const rewound = 1_000_000_000

// BeginAnew makes everybody who follows the changes begin anew. It is for a store that
// was taken back to an earlier state: the numbers that were given out since are void.
func (s *Store) BeginAnew(ctx context.Context) error {
	return s.update(ctx, func(t *tx) error {
		newest, err := t.Newest()
		if err != nil {
			return err
		}
		return t.exec("UPDATE marks SET value = ? WHERE name = 'forgotten'", newest+rewound)
	})
}
