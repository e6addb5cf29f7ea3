package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
)

// Save takes a backup of state, puts it into vault, and reads it back. A backup
// that cannot be read back is removed again.
func Save(ctx context.Context, vault Vault, name string, state *os.Root, opts TakeOptions) (Manifest, error) {
	manifest, err := takeInto(ctx, vault, name, state, opts)
	if err != nil {
		return Manifest{}, err
	}
	if err := readBack(ctx, vault, name); err != nil {
		return Manifest{}, errors.Join(err, vault.Delete(context.WithoutCancel(ctx), name))
	}
	return manifest, nil
}

func takeInto(ctx context.Context, vault Vault, name string, state *os.Root, opts TakeOptions) (Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type taken struct {
		manifest Manifest
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
		return Manifest{}, err // Take's own error, if it was that, came through the pipe
	}
	return took.manifest, took.err
}

func readBack(ctx context.Context, vault Vault, name string) error {
	r, err := vault.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("read backup %q back: %w", name, err)
	}
	_, err = Verify(ctx, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("read backup %q back: %w", name, err)
	}
	return nil
}
