// Package sqlitecopy copies an SQLite database that is in use, through SQLite's own
// backup, in a process of its own: a database of a stranger's is not parsed where there
// are rights to lose. Main is a hidden verb of the same binary.
package sqlitecopy

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
	"modernc.org/sqlite"
)

const verb = "popup:copy-database"

// Output is the descriptor that the verb writes to: the size of the copy as 8 bytes, the
// highest first, and then the copy. Nothing is written before the copy is whole.
const Output = 3

// Command is the argv of the verb, but for the path of the database, which comes after it.
// The copy is made in the folder that TMPDIR names, without a name.
func Command() []string { return []string{"/proc/self/exe", verb} }

// Main carries out the verb when args, a whole os.Args, are its own.
func Main(args []string) (handled bool, code int) {
	if len(args) != 3 || args[1] != verb {
		return false, 0
	}
	if err := send(context.Background(), args[2], os.NewFile(Output, "copy")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return true, 1
	}
	return true, 0
}

func send(ctx context.Context, path string, to *os.File) (err error) {
	if to == nil {
		return errors.New("popup calls this itself, with somewhere to write to")
	}
	dir := os.TempDir()
	if err := fits(path, dir); err != nil {
		return err
	}
	file, err := os.CreateTemp(dir, "database-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	copyErr := copyTo(ctx, path, file.Name())
	if err := errors.Join(copyErr, os.Remove(file.Name())); err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if _, err := to.Write(binary.BigEndian.AppendUint64(nil, uint64(info.Size()))); err != nil {
		return err
	}
	_, err = io.Copy(to, file)
	return errors.Join(err, to.Close())
}

// fits refuses a copy that would take more than half of the room that the app has left.
func fits(path, dir string) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return err
	}
	var size int64
	for _, part := range []string{path, path + "-wal"} {
		if info, err := os.Lstat(part); err == nil {
			size += info.Size()
		}
	}
	if free := int64(disk.Bavail) * disk.Bsize; size > free/2 {
		return fmt.Errorf("a copy of its %d bytes does not fit well in the %d that are left on the disk", size, free)
	}
	return nil
}

// How the two databases are opened. The reader waits for a writer, but not for ever; one
// that does not let go is an app's that keeps the database to itself.
const (
	reads  = "mode=ro&_pragma=busy_timeout(10000)&_pragma=trusted_schema(0)"
	writes = "_pragma=journal_mode(off)&_pragma=synchronous(off)"
)

func uri(path, query string) string {
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query}).String()
}

// copyTo has SQLite copy all pages in one go, as of one moment: between two steps a
// writer would have it begin again, and one that writes all the time would for ever.
func copyTo(ctx context.Context, path, into string) (err error) {
	if !filepath.IsAbs(path) {
		return fmt.Errorf("%q is not an absolute path", path)
	}
	db, err := sql.Open("sqlite", uri(path, reads))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return plain(err)
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	return conn.Raw(func(c any) (err error) {
		source, ok := c.(interface {
			driver.Conn
			NewBackup(string) (*sqlite.Backup, error)
		})
		if !ok {
			return fmt.Errorf("the driver's connection, a %T, makes no backups", c)
		}
		b, err := source.NewBackup(uri(into, writes))
		if err != nil {
			return err
		}
		more, err := b.Step(-1)
		finishErr := b.Finish()
		switch {
		case err == nil && finishErr == nil && more:
			return errors.New("the copy was not finished")
		case err == nil:
			return plain(finishErr)
		}
		return plain(err) // which Finish only repeats
	})
}

// plain is SQLite's own sentence for an error.
func plain(err error) error {
	var said *sqlite.Error
	if errors.As(err, &said) {
		if text, ok := sqlite.ErrorCodeString[said.Code()&0xff]; ok {
			return errors.New(text)
		}
	}
	return err
}
