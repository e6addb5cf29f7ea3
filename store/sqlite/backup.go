package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"popup/internal/atomicfile"
	"popup/store"
)

// Copy has SQLite write a compact copy of a store's database beside it, and passes it
// on: the copy is made while others write, however slowly it is read.
func Copy(ctx context.Context, path string, to io.Writer) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(path), tempPrefix+"*") // only we may read it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, temp.Close(), os.Remove(temp.Name())) }()
	db, err := database(path, 1)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO ?", temp.Name())
	if err = errors.Join(err, db.Close()); err != nil {
		return err
	}
	_, err = io.Copy(to, reader{ctx, temp})
	return err
}

// A reader ends with its context.
type reader struct {
	ctx context.Context
	io.Reader
}

func (r reader) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

// Restore makes the store of a folder that has none out of a backup. What is no backup
// of a console, is damaged, or holds an audit log that somebody changed, is refused,
// and the folder stays as it was.
func Restore(ctx context.Context, dir string, from io.Reader) (err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	lock, err := claim(dir)
	if err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	path := filepath.Join(dir, fileName)
	if err := vacant(path); err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	temp, err := os.CreateTemp(dir, tempPrefix+"*")
	if err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	defer func() { err = errors.Join(err, sweep(dir)) }()
	_, err = io.Copy(temp, reader{ctx, from})
	if err = errors.Join(err, temp.Close()); err != nil {
		return fmt.Errorf("restore the store: read the backup: %w", err)
	}
	if err := prepare(ctx, temp.Name()); err != nil {
		return fmt.Errorf("restore the store: refuse the backup, and leave %s as it was: %w", dir, err)
	}
	return put(temp.Name(), path)
}

// vacant refuses to overwrite. A log without its database would be applied to the one
// that takes its name.
func vacant(path string) error {
	for _, suffix := range []string{"", "-wal", "-shm", "-journal"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			return fmt.Errorf("%s%s is there already: move it away, or choose another folder", path, suffix)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// prepare verifies a copy, brings it up to date, and has followers begin anew.
func prepare(ctx context.Context, path string) error {
	db, err := database(path, 1, "journal_mode(DELETE)") // nothing stays beside it
	if err != nil {
		return err
	}
	if err := verify(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	s, err := store.New(ctx, db, store.Options{})
	if err != nil {
		return errors.Join(err, db.Close())
	}
	_, err = store.VerifyAudit(ctx, s)
	if err == nil {
		err = s.BeginAnew(ctx)
	}
	return errors.Join(err, s.Close())
}

// verify reads every page of a database.
func verify(ctx context.Context, db *sql.DB) error {
	var fault string
	var steps int
	switch err := db.QueryRowContext(ctx, "PRAGMA integrity_check(1)").Scan(&fault); {
	case codeOf(err) == notDB:
		return fmt.Errorf("it is no backup of a console: %w", err)
	case codeOf(err) == corrupt, err == nil && fault != "ok":
		return fmt.Errorf("it is damaged; take an earlier one: %s", firstLine(fault, err))
	case err != nil:
		return err
	}
	// An empty database would become an empty store.
	if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM migrations").Scan(&steps); err != nil || steps == 0 {
		return errors.Join(errors.New("it is no backup of a console"), err)
	}
	return nil
}

func firstLine(fault string, err error) string {
	if err != nil {
		return err.Error()
	}
	return fault
}

// put gives a file its name, for good.
func put(temp, path string) error {
	err := atomicfile.SyncFS(filepath.Dir(temp))
	if err == nil {
		err = os.Rename(temp, path)
	}
	if err == nil {
		err = atomicfile.SyncDir(filepath.Dir(path))
	}
	if err != nil {
		return fmt.Errorf("restore the store: %w", err)
	}
	return nil
}
