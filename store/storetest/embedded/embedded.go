// Package embedded is the default store, for tests of rooms that may not know it.
package embedded

import (
	"context"
	"io"

	"popup/console"
	"popup/store"
	"popup/store/sqlite"
)

// Open opens the store in a folder; who called it closes it.
func Open(ctx context.Context, dir string) (console.Store, error) { return sqlite.Open(ctx, dir) }

// VerifyAudit reads the whole audit log; its error says where it is broken.
func VerifyAudit(ctx context.Context, s console.Store) error {
	_, err := store.VerifyAudit(ctx, s)
	return err
}

// Restore makes the store of a folder that has none out of a backup.
func Restore(ctx context.Context, dir string, from io.Reader) error {
	return sqlite.Restore(ctx, dir, from)
}
