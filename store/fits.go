package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// Steps tell the migrations that this popup knows from those of another one, in order.
func Steps() (steps []string) {
	for _, m := range migrations {
		steps = append(steps, m.checksum())
	}
	return steps
}

// ErrVersion says that another popup may not write to this store beside this one.
var ErrVersion = errors.New("its popup does not fit the store")

var (
	errOlder   = fmt.Errorf("%w, and is older: start it with the version that the others have", ErrVersion)
	errAnother = fmt.Errorf("%w: it is another build, which keeps the store in another way: start it with the version that the others have", ErrVersion)
	errNewer   = fmt.Errorf("%w: it is newer, and would change it under the others: start it with the version that they have, and then give all of them the newer one", ErrVersion)
)

// Fits says whether a popup that knows steps may write to this store, beside this one,
// and change nothing by opening it. Its error is ErrVersion where it may not.
func (s *Store) Fits(ctx context.Context, steps []string) error {
	leave, err := s.present.enter()
	if err != nil {
		return err
	}
	defer leave()
	var wrong error
	err = s.view(ctx, func(t *tx) error {
		taken := 0
		wrong = nil
		err := t.query(func(rows *sql.Rows) error {
			var checksum string
			var compatible bool
			if err := rows.Scan(&checksum, &compatible); err != nil {
				return err
			}
			taken++
			switch {
			case taken > len(steps) && !compatible:
				wrong = errOlder
			case taken <= len(steps) && steps[taken-1] != checksum:
				wrong = errAnother
			}
			return nil
		}, "SELECT checksum, compatible FROM migrations ORDER BY number")
		if wrong == nil && taken < len(steps) {
			wrong = errNewer
		}
		return err
	})
	if err != nil {
		return err
	}
	return wrong
}
