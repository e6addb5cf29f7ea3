// Package store keeps what the console knows in a database that speaks SQLite's SQL.
// It is the same for every driver: nothing here names one, and nothing that dqlite
// refuses is used (no PRAGMA, ATTACH or VACUUM). What a driver does in its own way it
// hands over in Options. That a driver keeps the contract is what storetest tells.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"popup/console"
)

// Options are a driver's own ways. Zero fields are fine.
type Options struct {
	// Readers is where transactions go that only read. Nil: where the others go.
	Readers *sql.DB
	// Retry says whether an error passes by itself, and left no trace. Nil: none does.
	Retry func(error) bool
	// Patience is how long such errors are met with another try; 0: 30 seconds.
	Patience time.Duration
	// Watch is how often to look for what other processes wrote. 0: there are none.
	Watch time.Duration
	// Explain turns a driver's error into one that says what to try. Nil: as it is.
	Explain func(error) error
	// Backup writes a copy of a consistent state. Nil: there is no way.
	Backup func(ctx context.Context, to io.Writer) error
	// Close is called when the databases are closed. Nil: nothing is left to do.
	Close func() error
	// Now is the clock. Nil: the system's.
	Now func() time.Time
}

// A Store is a console.Store on a database.
type Store struct {
	db, readers *sql.DB
	opts        Options
	present     present
	writing     chan struct{} // holds one while somebody writes

	mu      sync.Mutex
	changed chan struct{}
	told    int64 // the newest change that was told of

	unwatch func() // ends what Watch began, and waits for it
}

var _ console.Store = (*Store)(nil)

// New brings the database up to date and returns the store on it, which owns db and
// opts.Readers from then on. Where it returns an error, these are still the caller's.
func New(ctx context.Context, db *sql.DB, opts Options) (*Store, error) {
	return open(ctx, db, opts, migrations)
}

func open(ctx context.Context, db *sql.DB, opts Options, steps []migration) (*Store, error) {
	if opts.Patience == 0 {
		opts.Patience = 30 * time.Second
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	s := &Store{db: db, readers: db, opts: opts, writing: make(chan struct{}, 1), changed: make(chan struct{})}
	if opts.Readers != nil {
		s.readers = opts.Readers
	}
	err := s.update(ctx, func(t *tx) (err error) {
		if err = migrate(t, steps); err == nil {
			s.told, err = t.Newest()
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s.unwatch = s.watch()
	return s, nil
}

// Update implements console.Store. What fn returns is returned as it is.
func (s *Store) Update(ctx context.Context, fn func(console.Tx) error) error {
	return s.update(ctx, func(t *tx) error { return fn(t) })
}

func (s *Store) update(ctx context.Context, fn func(*tx) error) error {
	leave, err := s.present.enter()
	if err != nil {
		return err
	}
	defer leave()
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return fmt.Errorf("wait for the store: %w", ctx.Err())
	}
	return s.patiently(ctx, func() (bool, error) {
		t, err := s.begin(ctx, s.db, "BEGIN IMMEDIATE")
		if err != nil {
			return s.passes(err), err
		}
		defer t.end()
		err = fn(t)
		if s.passes(t.failed) || err != nil {
			return s.passes(t.failed), err
		}
		return false, t.commit() // one that answered with an error may have happened
	})
}

// View implements console.Store. What fn returns is returned as it is.
func (s *Store) View(ctx context.Context, fn func(console.Tx) error) error {
	leave, err := s.present.enter()
	if err != nil {
		return err
	}
	defer leave()
	return s.view(ctx, func(t *tx) error { return fn(t) })
}

func (s *Store) view(ctx context.Context, fn func(*tx) error) error {
	return s.patiently(ctx, func() (bool, error) {
		t, err := s.snapshot(ctx)
		if err != nil {
			return s.passes(err), err
		}
		defer t.end()
		if err = fn(t); err == nil {
			err = t.failed
		}
		return s.passes(t.failed), err
	})
}

// snapshot opens a transaction that sees the state of now, not of its first question.
func (s *Store) snapshot(ctx context.Context) (*tx, error) {
	t, err := s.begin(ctx, s.readers, "BEGIN")
	if err != nil {
		return nil, err
	}
	t.readOnly = true
	if _, err := t.forgotten(); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

// passes says whether an error goes away by itself.
func (s *Store) passes(err error) bool {
	return err != nil && s.opts.Retry != nil && s.opts.Retry(err)
}

// patiently tries again while try says so.
func (s *Store) patiently(ctx context.Context, try func() (again bool, err error)) error {
	deadline := time.NewTimer(s.opts.Patience)
	defer deadline.Stop()
	for pause := 2 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		again, err := try()
		if !again {
			return err
		}
		next := time.NewTimer(pause/2 + rand.N(pause))
		select {
		case <-next.C:
			continue
		case <-deadline.C:
			err = fmt.Errorf("%w: it was not free for %s: %w", console.ErrUnavailable, s.opts.Patience, err)
		case <-ctx.Done():
			err = errors.Join(ctx.Err(), err)
		}
		next.Stop()
		return err
	}
}

// Changed implements console.Store.
func (s *Store) Changed() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.changed
}

// tell wakes whoever waits for a change. 0: its number is not known.
func (s *Store) tell(newest int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.told = max(s.told, newest)
	close(s.changed)
	s.changed = make(chan struct{})
}

// Backup implements console.Store.
func (s *Store) Backup(ctx context.Context, to io.Writer) error {
	leave, err := s.present.enter()
	if err != nil {
		return err
	}
	defer leave()
	if s.opts.Backup == nil {
		return errors.New("back up the store: its database knows no way")
	}
	if err := s.opts.Backup(ctx, to); err != nil {
		return fmt.Errorf("back up the store: %w", s.explain(err))
	}
	return nil
}

func (s *Store) explain(err error) error {
	if err == nil || s.opts.Explain == nil {
		return err
	}
	return s.opts.Explain(err)
}

// Close implements console.Store. It waits for the transactions that run; further ones
// are refused. Closing twice is fine.
func (s *Store) Close() error {
	first, err := s.present.close()
	if !first || err != nil {
		return err
	}
	s.unwatch()
	err = s.db.Close()
	if s.readers != s.db {
		err = errors.Join(err, s.readers.Close())
	}
	if s.opts.Close != nil {
		err = errors.Join(err, s.opts.Close())
	}
	return err
}
