package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"time"

	"popup/console"
)

// tx is one transaction on one connection. BEGIN, COMMIT and ROLLBACK are statements
// of ours: what database/sql does with them differs between drivers, and leaves open
// whether a connection whose commit failed is still in its transaction.
type tx struct {
	ctx      context.Context
	store    *Store
	conn     *sql.Conn
	readOnly bool
	wrote    bool
	done     bool  // committed
	last     int64 // the newest change; 0: not asked yet
	// failed is the first error of the database. The database may have ended the
	// transaction because of it, so that what came after would not be part of it.
	failed error
}

var _ console.Tx = (*tx)(nil)

var errOver = errors.New("use the store: this transaction is over; a Tx is for its function alone")

// begin opens a transaction. Who called it ends it.
func (s *Store) begin(ctx context.Context, db *sql.DB, how string) (*tx, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, fmt.Errorf("reach the store: %w", s.explain(err))
	}
	t := &tx{ctx: ctx, store: s, conn: conn}
	if err := t.exec(how); err != nil {
		t.end()
		return nil, err
	}
	t.wrote = false
	return t, nil
}

// commitTime bounds a commit: it is not given up in its middle, so that nobody
// has to wonder whether it happened.
const commitTime = 30 * time.Second

func (t *tx) commit() error {
	if t.failed == nil {
		t.failed = t.ctx.Err()
	}
	if t.failed != nil {
		return t.failed
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), commitTime)
	defer cancel()
	_, err := t.conn.ExecContext(ctx, "COMMIT")
	if t.wrote && err == nil {
		t.store.tell(t.last)
	}
	if err != nil {
		t.store.tell(0) // it may have happened
		t.failed = fmt.Errorf("commit to the store: %w", t.store.explain(err))
		if t.store.passes(err) || ctx.Err() != nil {
			t.failed = fmt.Errorf("%w: %w", console.ErrUncertain, t.failed)
		}
		return t.failed
	}
	t.done = true
	return nil
}

// end gives the connection back, without what was not committed.
func (t *tx) end() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.ctx), commitTime)
	defer cancel()
	if !t.done {
		if _, err := t.conn.ExecContext(ctx, "ROLLBACK"); err != nil {
			// Whatever state it is in, nobody else is to find out.
			t.conn.Raw(func(any) error { return driver.ErrBadConn }) //nolint:errcheck // it is the error we ask for
		}
	}
	t.conn.Close() //nolint:errcheck // only where Raw closed it
	t.failed = errOver
}

// exec changes something.
func (t *tx) exec(statement string, args ...any) error {
	if t.failed != nil {
		return t.failed
	}
	if _, err := t.conn.ExecContext(t.ctx, statement, args...); err != nil {
		return t.fail("write to", err)
	}
	t.wrote = true
	return nil
}

// query calls scan for each row.
func (t *tx) query(scan func(*sql.Rows) error, statement string, args ...any) (err error) {
	if t.failed != nil {
		return t.failed
	}
	rows, err := t.conn.QueryContext(t.ctx, statement, args...)
	if err != nil {
		return t.fail("read from", err)
	}
	for err == nil && rows.Next() {
		err = scan(rows)
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return t.fail("read from", err)
	}
	return nil
}

// one reads the only row into what is pointed to, and says whether there is one.
func (t *tx) one(into []any, statement string, args ...any) (found bool, err error) {
	err = t.query(func(rows *sql.Rows) error {
		found = true
		return rows.Scan(into...)
	}, statement, args...)
	return found, err
}

func (t *tx) fail(verb string, err error) error {
	t.failed = fmt.Errorf("%s the store: %w", verb, t.store.explain(err))
	return t.failed
}

// writable says why nothing can be written.
func (t *tx) writable() error {
	if t.failed == nil && t.readOnly {
		return console.ErrReadOnly
	}
	return t.failed
}

// limit bounds how many are returned at once.
func limit(wanted int) int {
	const most = 1000
	if wanted <= 0 || wanted > most {
		return most
	}
	return wanted
}
