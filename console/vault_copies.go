package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"popup/internal/archive"
)

// Peers are the vaults of the other consoles of a cluster. Whoever asks is known by the
// cluster's certificates. Its methods may be called from several goroutines.
type Peers interface {
	// Others are their addresses, whether they answer or not.
	Others(ctx context.Context) ([]string, error)
	// Put returns once what r says is on that console's disk, and hashes to sum there. It
	// does not read r where that has it already.
	Put(ctx context.Context, member, name string, size int64, sum []byte, r io.Reader) error
	// Get opens what is there, or returns archive.ErrNotFound. The caller closes it.
	Get(ctx context.Context, member, name string) (io.ReadCloser, error)
	// List is what is there.
	List(ctx context.Context, member string) ([]archive.Item, error)
	Delete(ctx context.Context, member, name string) error
}

const (
	// shareTime is how long an instance waits for a copy. It gives up after a silence in
	// which what it sent has to be verified as well, and begins anew.
	shareTime = 5 * time.Minute
	// tellTime is how long others are waited for that are told to remove something.
	tellTime = 10 * time.Second
)

// share has a second console keep an archive that was verified here. Where none takes it
// in shareTime, it is kept here alone, until one does: a backup that an instance cannot
// get rid of helps nobody.
func (a *Archives) share(ctx context.Context, kept Archive) error {
	if a.opts.Peers == nil {
		return nil
	}
	key := archiveID(kept.Instance, kept.Name)
	asked, done := context.WithTimeout(ctx, shareTime)
	defer done()
	others, err := a.opts.Peers.Others(asked)
	for k := 0; k < len(others) && asked.Err() == nil; k++ {
		failed := a.copyTo(asked, others[k], kept)
		if failed == nil {
			a.note(key, false)
			return nil
		}
		err = errors.Join(err, failed)
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	a.note(key, true)
	a.opts.Log.Warn("a backup is on this console alone; it is copied when another one answers", "instance", kept.Instance, "backup", kept.Name, "err", err)
	return nil
}

// copyTo has one console keep an archive.
func (a *Archives) copyTo(ctx context.Context, member string, kept Archive) (err error) {
	sum, err := hex.DecodeString(kept.SHA256)
	if err != nil {
		return err
	}
	key := archiveID(kept.Instance, kept.Name)
	file, from, err := a.openKey(ctx, key)
	if err != nil {
		return err
	}
	if from == member {
		return errors.Join(fmt.Errorf("copy backup %s to %s: nobody else who answers has it", key, member), file.Close())
	}
	err = a.opts.Peers.Put(ctx, member, key, kept.Size, sum, file)
	if err = errors.Join(err, file.Close()); err != nil {
		return fmt.Errorf("copy backup %s to %s: %w", key, member, err)
	}
	return nil
}

// note keeps which archives have no copy, as far as this console knows.
func (a *Archives) note(key string, alone bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.removed, key) // it came again
	if alone {
		a.alone[key] = true
	} else {
		delete(a.alone, key)
	}
}

// Alone is how many archives are on this console alone, where there are others.
func (a *Archives) Alone() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.alone)
}

// BackupsAlone is how many archives of instances are on this console alone, though there
// are others to keep them as well.
func (c *Console) BackupsAlone() int {
	if c.opts.Archives == nil {
		return 0
	}
	return c.opts.Archives.Alone()
}

// openKey opens what this console has, unless that is known to be damaged, or else
// another one, whose address is member.
func (a *Archives) openKey(ctx context.Context, key string) (file io.ReadCloser, member string, err error) {
	err = archive.ErrNotFound
	if !a.isDamaged(key) {
		if file, err = a.opts.Vault.Get(ctx, key); err == nil {
			return file, "", nil
		}
	}
	if a.opts.Peers == nil {
		return nil, "", err
	}
	elsewhere := a.elsewhere(ctx, key, func(from string, opened io.ReadCloser) error {
		file, member = opened, from
		return nil
	})
	if elsewhere == nil {
		return file, member, nil
	}
	if errors.Is(err, archive.ErrNotFound) {
		err = nil // what is missing here is no fault
	}
	return nil, "", errors.Join(err, elsewhere)
}

// elsewhere opens an archive of one console after the other until use, which closes it,
// takes one. Its error is archive.ErrNotFound where all were asked and none has it.
func (a *Archives) elsewhere(ctx context.Context, key string, use func(member string, file io.ReadCloser) error) error {
	others, err := a.opts.Peers.Others(ctx)
	if err != nil {
		return err
	}
	var away, failed error
	trusted, doubted := a.byTrust(key, others)
	for k, member := range slices.Concat(trusted, doubted) {
		if k >= len(trusted) && away != nil {
			break // who is away may have a good one
		}
		file, err := a.opts.Peers.Get(ctx, member, key)
		if err == nil {
			if err = use(member, file); err == nil {
				return nil
			}
			failed = errors.Join(failed, err)
		} else if !errors.Is(err, archive.ErrNotFound) {
			away = errors.Join(away, err)
		}
	}
	switch {
	case failed != nil:
		return errors.Join(failed, away)
	case away != nil:
		a.opts.Log.Warn("a backup is not here, and not all consoles answer", "backup", key, "err", away)
		return &BusyError{"the console that keeps this backup does not answer; ask again when it is back", time.Minute}
	}
	return archive.ErrNotFound
}

// removeHere removes an archive of this console's own vault.
func (a *Archives) removeHere(ctx context.Context, key string) error {
	a.mu.Lock()
	delete(a.alone, key)
	delete(a.damaged, key)
	a.mu.Unlock()
	return a.opts.Vault.Delete(ctx, key)
}

// removeElsewhere has the others remove archives that are named for each of them, side by
// side. Who does not answer, or fails at one, removes them when it looks through what it has.
func (a *Archives) removeElsewhere(ctx context.Context, keys func(ctx context.Context, member string) ([]string, error)) {
	if a.opts.Peers == nil {
		return
	}
	ctx, done := context.WithTimeout(ctx, tellTime)
	defer done()
	others, err := a.opts.Peers.Others(ctx)
	failed := make([]error, len(others))
	var all sync.WaitGroup
	for k, member := range others {
		all.Go(func() {
			gone, err := keys(ctx, member)
			for n := 0; n < len(gone) && err == nil; n++ {
				err = a.opts.Peers.Delete(ctx, member, gone[n])
			}
			failed[k] = err
		})
	}
	all.Wait()
	if err = errors.Join(append(failed, err)...); err != nil {
		a.opts.Log.Warn("backups were not removed everywhere; who is away does it later", "err", err)
	}
}

// Keep keeps a copy of an archive that another console verified, and returns once it was
// read back. The same again is the same. Its errors are Receive's.
func (a *Archives) Keep(ctx context.Context, key string, size int64, sum []byte, body io.Reader) error {
	instance, name, _ := strings.Cut(key, ".")
	if _, err := keyOf(instance, name); err != nil {
		return err
	}
	in := Incoming{Instance: instance, Name: name, Size: size, SHA256: sum, Body: body}
	if err := a.wants(in); err != nil {
		return err
	}
	leave, err := a.enter(in)
	if err != nil {
		return err
	}
	defer leave()
	come := &announced{in: in, sum: sha256.New(), whole: func() error { return nil }}
	if err := a.opts.Vault.Put(ctx, key, come); err != nil {
		return fmt.Errorf("keep a copy of %s: %w", key, err)
	}
	if is, err := a.Has(ctx, key, size, sum); err != nil || !is {
		return errors.Join(err, fmt.Errorf("keep a copy of %s: the vault gives back something else than it was given", key))
	}
	a.heal(key)
	return nil
}

// Has says whether this console's own vault has these very bytes under key.
func (a *Archives) Has(ctx context.Context, key string, size int64, sum []byte) (bool, error) {
	file, err := a.opts.Vault.Get(ctx, key)
	if errors.Is(err, archive.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	hash := sha256.New()
	n, err := io.Copy(hash, io.LimitReader(archive.Within(ctx, file), size+1))
	err = errors.Join(err, file.Close())
	return n == size && bytes.Equal(hash.Sum(nil), sum), err
}

// Own is this console's own vault, for the others.
func (a *Archives) Own() archive.Vault { return a.opts.Vault }

// suspect has other consoles asked from now on for what could not be read as it was
// verified: where it is member's file, those before that one; where it is this console's,
// and is looked at again, all.
func (a *Archives) suspect(ctx context.Context, kept Archive, member string) {
	sum, err := hex.DecodeString(kept.SHA256)
	if err != nil || a.opts.Peers == nil || ctx.Err() != nil {
		return
	}
	key := archiveID(kept.Instance, kept.Name)
	if member != "" {
		a.doubt(key, member)
		return
	}
	if is, _ := a.Has(ctx, key, kept.Size, sum); !is && ctx.Err() == nil { // nor is what cannot be read
		a.damage(key)
	}
}

// A copyAt is what another console has of an archive.
type copyAt struct{ key, member string }

// doubt notes that another console's file is not what was verified; trust, that it is again.
func (a *Archives) doubt(key, member string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.doubted[copyAt{key, member}] = true
}

func (a *Archives) trust(key, member string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.doubted, copyAt{key, member})
}

// byTrust parts those whose copy of an archive is doubted from the others.
func (a *Archives) byTrust(key string, members []string) (trusted, doubted []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, member := range members {
		if a.doubted[copyAt{key, member}] {
			doubted = append(doubted, member)
		} else {
			trusted = append(trusted, member)
		}
	}
	return trusted, doubted
}

// damage notes that this console's file is not what was verified; heal, that it is again.
func (a *Archives) damage(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.damaged[key] = true
}

func (a *Archives) heal(key string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.damaged, key)
}

func (a *Archives) isDamaged(key string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.damaged[key]
}
