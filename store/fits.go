package store

import (
	"context"
	"database/sql"
	"errors"
)

// Steps tell the migrations that this popup knows from those of another one, in order.
func Steps() (steps []string) {
	for _, m := range migrations {
		steps = append(steps, m.checksum())
	}
	return steps
}

// Fits says whether a popup that knows steps may write to this store, beside this one,
// and change nothing by opening it.
func (s *Store) Fits(ctx context.Context, steps []string) error {
	leave, err := s.present.enter()
	if err != nil {
		return err
	}
	defer leave()
	t, err := s.snapshot(ctx)
	if err != nil {
		return err
	}
	defer t.end()
	taken := 0
	var wrong error
	err = t.query(func(rows *sql.Rows) error {
		var checksum string
		var compatible bool
		if err := rows.Scan(&checksum, &compatible); err != nil {
			return err
		}
		taken++
		switch {
		case taken > len(steps) && !compatible:
			wrong = errors.New("its popup is older than the store: start it with the version that the others have")
		case taken <= len(steps) && steps[taken-1] != checksum:
			wrong = errors.New("its popup is another build, which keeps the store in another way: start it with the version that the others have")
		}
		return nil
	}, "SELECT checksum, compatible FROM migrations ORDER BY number")
	if err == nil && wrong == nil && taken < len(steps) {
		wrong = errors.New("its popup is newer than the store, and would change it under the others: start it with the version that they have, and then give all of them the newer one")
	}
	return errors.Join(err, wrong)
}
