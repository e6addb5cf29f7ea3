package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
)

// A migration is one step from an empty database to today's. Those that were released
// are never edited: what was wrong with one is put right by the next.
type migration struct {
	name string
	// compatible: a console that does not know this step may go on with the database,
	// reading and writing. So it can be taken back by one version.
	compatible bool
	statements []string
}

// checksum tells a migration from another one of the same number.
func (m migration) checksum() string {
	h := sha256.New()
	for _, s := range m.statements {
		fmt.Fprintf(h, "%d %s", len(s), s)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// migrate takes the steps that the database has not seen; the first is number 1.
func migrate(t *tx, steps []migration) error {
	err := t.exec(`CREATE TABLE IF NOT EXISTS migrations (
		number INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, compatible INTEGER NOT NULL, at INTEGER NOT NULL)`)
	if err != nil {
		return err
	}
	taken := 0
	var wrong error
	err = t.query(func(rows *sql.Rows) error {
		var number int
		var name, checksum string
		var compatible bool
		if err := rows.Scan(&number, &name, &checksum, &compatible); err != nil {
			return err
		}
		taken++
		switch {
		case wrong != nil:
		case number != taken:
			wrong = fmt.Errorf("the database lacks migration %d and has number %d: restore a backup", taken, number)
		case number > len(steps) && !compatible:
			wrong = fmt.Errorf("a newer popup wrote the database (its migration %d, %s, is not known here): use that version, or restore a backup of before", number, name)
		case number <= len(steps) && checksum != steps[number-1].checksum():
			wrong = fmt.Errorf("the database's migration %d, %s, is not the one known here, %s: another build of popup made it; use that one, or restore a backup",
				number, name, steps[number-1].name)
		}
		return nil
	}, "SELECT number, name, checksum, compatible FROM migrations ORDER BY number")
	if err = errors.Join(err, wrong); err != nil {
		return err
	}
	for number := taken + 1; number <= len(steps); number++ {
		if err := step(t, number, steps[number-1]); err != nil {
			return fmt.Errorf("take migration %d, %s: %w", number, steps[number-1].name, err)
		}
	}
	return nil
}

func step(t *tx, number int, m migration) error {
	for _, statement := range m.statements {
		if err := t.exec(statement); err != nil {
			return err
		}
	}
	return t.exec("INSERT INTO migrations (number, name, checksum, compatible, at) VALUES (?, ?, ?, ?, ?)",
		number, m.name, m.checksum(), m.compatible, t.store.opts.Now().UnixMilli())
}
