// Package sqlite keeps what the console knows in DIR/console.db, by an SQLite that is
// part of the program. One process may have it open.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"modernc.org/sqlite"

	"popup/internal/atomicfile"
	"popup/store"
)

const (
	fileName = "console.db"
	// A reader sees the last commit while another is being written.
	mostReaders = 4
	private     = 0o600
)

// Open opens the store in a folder, and makes either where it is missing. The error
// says so where another process has it open. Who called it closes the store.
func Open(ctx context.Context, dir string) (_ *store.Store, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	lock, err := claim(dir)
	if err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	s, err := open(ctx, filepath.Join(dir, fileName), lock)
	if err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return s, nil
}

func open(ctx context.Context, path string, lock *os.File) (*store.Store, error) {
	// SQLite's own files beside this one get its permissions.
	if err := makePrivate(path); err != nil {
		return nil, fmt.Errorf("open the store: %w", err)
	}
	writer, err := database(path, 1, "journal_mode(WAL)")
	if err != nil {
		return nil, err
	}
	readers, err := database(path, mostReaders, "query_only(1)")
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	s, err := store.New(ctx, writer, store.Options{
		Readers: readers,
		Retry:   func(err error) bool { return codeOf(err) == busy },
		Explain: func(err error) error { return explain(path, err) },
		Backup:  func(ctx context.Context, to io.Writer) error { return Copy(ctx, path, to) },
		Close:   lock.Close,
	})
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(path)) // the names of a new database
		if err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(err, readers.Close(), writer.Close())
}

func makePrivate(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, private)
	if err != nil {
		return err
	}
	return errors.Join(f.Chmod(private), f.Close())
}

// database opens a pool of connections that have all that a commit must survive:
// FULL syncs the log at each.
func database(path string, connections int, pragmas ...string) (*sql.DB, error) {
	query := url.Values{
		"_busy_timeout": {"1000"}, // ms; the store tries again
		"_defensive":    {"1"},
		"_dqs":          {"0"}, // a misspelt column is not a string
		"_pragma": append([]string{
			"synchronous(FULL)", "foreign_keys(1)", "trusted_schema(0)",
			"journal_size_limit(16777216)", // what one long reader made it grow by is given back
		}, pragmas...),
	}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String())
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// SQLite's result codes that somebody can do something about.
const (
	perm     = 3
	busy     = 5
	readOnly = 8
	ioErr    = 10
	corrupt  = 11
	full     = 13
	cantOpen = 14
	notDB    = 26
)

// codeOf is SQLite's primary result code; 0: it is no error of SQLite's.
func codeOf(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// explain says what to try.
func explain(path string, err error) error {
	var try string
	switch codeOf(err) {
	case full:
		try = "its disk is full; what was acknowledged is kept: make room, and try again"
	case ioErr:
		try = "its disk does not read or write: look at the system's log, or whether the disk is full"
	case corrupt, notDB:
		try = "it is damaged: move it away, and restore a backup"
	case perm, readOnly, cantOpen:
		try = "it cannot be written: look at whose it is, and at its permissions"
	case busy:
		try = "another program is writing to it: close that"
	default:
		return err
	}
	return fmt.Errorf("%s: %s: %w", path, try, err)
}
