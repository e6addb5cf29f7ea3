package backup

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"popup/internal/archive"
)

// SaveOptions say what is saved, and for whom.
type SaveOptions struct {
	TakeOptions
	// Recipient alone can open the archive, as age writes one. Empty: it is not encrypted.
	Recipient string
	// Spool is a folder with room for the archive, which is verified there before it is
	// encrypted: whoever takes it could not read it back. Only with a Recipient.
	Spool string
}

// noSecrets is the note of an archive that everybody could read.
const noSecrets = "the secrets that the instance made for the app are not in it, since it is not encrypted"

// Save takes a backup of state, puts it into vault, and reads it back. A backup
// that cannot be read back is removed again, where that is not for the vault's owner
// to do.
func Save(ctx context.Context, vault archive.Vault, name string, state *os.Root, opts SaveOptions) (archive.Manifest, error) {
	s := &saving{vault: vault, name: name}
	write := func(ctx context.Context, w io.Writer) (archive.Manifest, error) {
		return Take(ctx, state, w, opts.TakeOptions)
	}
	check := s.verify
	if opts.Recipient == "" {
		if len(opts.Secrets) > 0 {
			opts.Secrets, opts.Notes = nil, append(opts.Notes, noSecrets)
		}
	} else {
		sealed := &sealer{state: state, opts: opts, sum: sha256.New()}
		write, check = sealed.write, sealed.isSame
	}
	manifest, err := s.put(ctx, write)
	if err != nil {
		return archive.Manifest{}, err
	}
	if err := s.readBack(ctx, check); err != nil {
		if gone := vault.Delete(context.WithoutCancel(ctx), name); !errors.Is(gone, archive.ErrKept) {
			err = errors.Join(err, gone)
		}
		return archive.Manifest{}, err
	}
	return manifest, nil
}

// saving is one archive on its way to a vault.
type saving struct {
	vault archive.Vault
	name  string
}

// put has the vault keep what write writes.
func (s *saving) put(ctx context.Context, write func(context.Context, io.Writer) (archive.Manifest, error)) (archive.Manifest, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type written struct {
		manifest archive.Manifest
		err      error
	}
	out, in := io.Pipe()
	done := make(chan written, 1)
	go func() {
		manifest, err := write(ctx, in)
		in.CloseWithError(err) //nolint:errcheck // it never fails
		done <- written{manifest, err}
	}()
	err := s.vault.Put(ctx, s.name, out)
	cancel()
	out.CloseWithError(io.ErrClosedPipe) //nolint:errcheck // it never fails
	wrote := <-done
	if err != nil {
		return archive.Manifest{}, err // write's own error, if it was that, came through the pipe
	}
	return wrote.manifest, wrote.err
}

func (s *saving) readBack(ctx context.Context, check func(context.Context, io.Reader) error) error {
	r, err := s.vault.Get(ctx, s.name)
	if err != nil {
		return fmt.Errorf("read backup %q back: %w", s.name, err)
	}
	err = check(ctx, r)
	if err := errors.Join(err, r.Close()); err != nil {
		return fmt.Errorf("read backup %q back: %w", s.name, err)
	}
	return nil
}

func (s *saving) verify(ctx context.Context, r io.Reader) error {
	_, err := archive.Verify(ctx, r, archive.Limits{})
	return err
}

// A sealer takes a backup, verifies it, and encrypts it.
type sealer struct {
	state *os.Root
	opts  SaveOptions
	sum   hash.Hash // of what was encrypted
}

func (s *sealer) write(ctx context.Context, w io.Writer) (m archive.Manifest, err error) {
	spool, err := archive.Unnamed(s.opts.Spool)
	if err != nil {
		return m, fmt.Errorf("take backup: %w", err)
	}
	defer func() { err = errors.Join(err, spool.Close()) }()
	if m, err = Take(ctx, s.state, spool, s.opts.TakeOptions); err != nil {
		return m, err
	}
	if _, err := archive.Verify(ctx, io.NewSectionReader(spool, 0, 1<<62), archive.Limits{}); err != nil {
		return m, err
	}
	sealed, err := archive.Seal(io.MultiWriter(w, s.sum), s.opts.Recipient)
	if err != nil {
		return m, fmt.Errorf("encrypt backup: %w", err)
	}
	if _, err := io.Copy(sealed, archive.Within(ctx, io.NewSectionReader(spool, 0, 1<<62))); err != nil {
		return m, fmt.Errorf("encrypt backup: %w", err)
	}
	return m, sealed.Close()
}

// isSame holds what a vault has against what was sent: nobody here can open it.
func (s *sealer) isSame(ctx context.Context, r io.Reader) error {
	back := sha256.New()
	if _, err := io.Copy(back, archive.Within(ctx, r)); err != nil {
		return err
	}
	if !bytes.Equal(back.Sum(nil), s.sum.Sum(nil)) {
		return fmt.Errorf("%w: it is not what was sent", archive.ErrCorrupt)
	}
	return nil
}
