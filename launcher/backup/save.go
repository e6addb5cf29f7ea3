package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"popup/internal/archive"
)

// Save takes a backup of state, puts it into vault, and reads it back. A backup
// that cannot be read back is removed again, where that is not for the vault's owner
// to do.
func Save(ctx context.Context, vault archive.Vault, name string, state *os.Root, opts TakeOptions) (archive.Manifest, error) {
	manifest, err := takeInto(ctx, vault, name, state, opts)
	if err != nil {
		return archive.Manifest{}, err
	}
	if err := readBack(ctx, vault, name); err != nil {
		if gone := vault.Delete(context.WithoutCancel(ctx), name); !errors.Is(gone, archive.ErrKept) {
			err = errors.Join(err, gone)
		}
		return archive.Manifest{}, err
	}
	return manifest, nil
}

func takeInto(ctx context.Context, vault archive.Vault, name string, state *os.Root, opts TakeOptions) (archive.Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type taken struct {
		manifest archive.Manifest
		err      error
	}
	out, in := io.Pipe()
	done := make(chan taken, 1)
	go func() {
		manifest, err := Take(ctx, state, in, opts)
		in.CloseWithError(err) //nolint:errcheck // it never fails
		done <- taken{manifest, err}
	}()
	err := vault.Put(ctx, name, out)
	cancel()
	out.CloseWithError(io.ErrClosedPipe) //nolint:errcheck // it never fails
	took := <-done
	if err != nil {
		return archive.Manifest{}, err // Take's own error, if it was that, came through the pipe
	}
	return took.manifest, took.err
}

func readBack(ctx context.Context, vault archive.Vault, name string) error {
	r, err := vault.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("read backup %q back: %w", name, err)
	}
	_, err = archive.Verify(ctx, r, archive.Limits{})
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("read backup %q back: %w", name, err)
	}
	return nil
}
