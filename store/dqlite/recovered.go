package dqlite

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Recovered says what became of a node that was recovered.
type Recovered struct {
	// Aside is where its folder is kept as it was.
	Aside string
	// Newest is when the newest change was made that it has. Zero: none is remembered.
	Newest time.Time
}

// Recover makes a cluster of its own of the node in a folder, which does not run, where
// all others are lost for good. Its authority is a new one, so that they do not come back.
// The folder as it was is kept beside. It may be killed and called again at any moment.
func Recover(ctx context.Context, dir string) (Recovered, error) {
	r, err := recoverAlone(ctx, dir)
	if err != nil {
		return r, fmt.Errorf("recover the cluster: %w", err)
	}
	return r, nil
}

// BackupStopped writes a backup of what a node that does not run has on its disk, which
// may be less than the others know. The folder stays as it is.
func BackupStopped(ctx context.Context, dir string, to io.Writer) error {
	if err := backupStopped(ctx, dir, to); err != nil {
		return fmt.Errorf("back up a node that is stopped: %w", err)
	}
	return nil
}
