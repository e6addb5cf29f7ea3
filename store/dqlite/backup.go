//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"popup/store/sqlite"
)

const tempPrefix = "tmp-backup-"

// sweep removes what a crash left half made.
func sweep(dir string) error {
	left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*"))
	for _, path := range left {
		err = errors.Join(err, os.RemoveAll(path))
	}
	return err
}

// backup has the leader hand over its pages, and passes them on as the file that a
// console alone would have written: what is restored is a store of sqlite's.
func (n *node) backup(name string) func(context.Context, io.Writer) error {
	return func(ctx context.Context, to io.Writer) (err error) {
		c, err := n.leader(ctx)
		if err != nil {
			return errors.Join(ctx.Err(), err)
		}
		files, err := c.Dump(ctx, name)
		if err = errors.Join(err, c.Close()); err != nil {
			return err
		}
		dir, err := os.MkdirTemp(n.dir, tempPrefix) // only we may read it
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		for _, f := range files {
			if filepath.Base(f.Name) != f.Name {
				return fmt.Errorf("the leader names a file %q", f.Name)
			}
			if err := os.WriteFile(filepath.Join(dir, f.Name), f.Data, 0o600); err != nil {
				return err
			}
		}
		return sqlite.Copy(ctx, filepath.Join(dir, name), to)
	}
}
