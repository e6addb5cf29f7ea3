package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
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
	// List is what is there whose name begins with prefix.
	List(ctx context.Context, member, prefix string) ([]archive.Item, error)
	Delete(ctx context.Context, member, name string) error
}

// share has a second console keep an archive that was verified here. Where none takes it,
// it is kept here alone, until one does: a backup that an instance cannot get rid of helps
// nobody.
func (a *Archives) share(ctx context.Context, kept Archive) error {
	if a.opts.Peers == nil {
		return nil
	}
	key := archiveID(kept.Instance, kept.Name)
	others, err := a.opts.Peers.Others(ctx)
	for _, member := range others {
		failed := a.copyTo(ctx, member, kept)
		if failed == nil {
			a.note(key, false)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, failed)
	}
	a.note(key, true)
	a.opts.Log.Warn("a backup is on this console alone; it is copied when another one answers", "instance", kept.Instance, "backup", kept.Name, "err", err)
	return nil
}

// copyTo has one console keep an archive of this one's.
func (a *Archives) copyTo(ctx context.Context, member string, kept Archive) (err error) {
	sum, err := hex.DecodeString(kept.SHA256)
	if err != nil {
		return err
	}
	key := archiveID(kept.Instance, kept.Name)
	file, err := a.opts.Vault.Get(ctx, key)
	if err != nil {
		return err
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
// another one.
func (a *Archives) openKey(ctx context.Context, key string) (io.ReadCloser, error) {
	err := archive.ErrNotFound
	if !a.isDamaged(key) {
		var file io.ReadCloser
		if file, err = a.opts.Vault.Get(ctx, key); err == nil {
			return file, nil
		}
	}
	if a.opts.Peers == nil {
		return nil, err
	}
	file, _, elsewhere := a.openElsewhere(ctx, key)
	if elsewhere == nil {
		return file, nil
	}
	if errors.Is(err, archive.ErrNotFound) {
		err = nil // what is missing here is no fault
	}
	return nil, errors.Join(err, elsewhere)
}

// openElsewhere opens an archive of another console. Its error is archive.ErrNotFound
// where all were asked and none has it.
func (a *Archives) openElsewhere(ctx context.Context, key string) (file io.ReadCloser, member string, err error) {
	others, err := a.opts.Peers.Others(ctx)
	if err != nil {
		return nil, "", err
	}
	var failed error
	for _, member := range others {
		file, err := a.opts.Peers.Get(ctx, member, key)
		if err == nil {
			return file, member, nil
		}
		if !errors.Is(err, archive.ErrNotFound) {
			failed = errors.Join(failed, err)
		}
	}
	if failed != nil {
		a.opts.Log.Warn("a backup is not here, and not all consoles answer", "backup", key, "err", failed)
		return nil, "", &BusyError{"the console that keeps this backup does not answer; ask again when it is back", time.Minute}
	}
	return nil, "", archive.ErrNotFound
}

// listElsewhere is what the consoles that answer have.
func (a *Archives) listElsewhere(ctx context.Context, prefix string) (all []archive.Item) {
	if a.opts.Peers == nil {
		return nil
	}
	others, err := a.opts.Peers.Others(ctx)
	for _, member := range others {
		items, failed := a.opts.Peers.List(ctx, member, prefix)
		all, err = append(all, items...), errors.Join(err, failed)
	}
	if err != nil {
		a.opts.Log.Warn("not all consoles say what backups they have", "err", err)
	}
	return all
}

// remove removes an archive everywhere. A console that does not answer removes it when it
// is back and looks through what it has.
func (a *Archives) remove(ctx context.Context, key string) error {
	err := a.opts.Vault.Delete(ctx, key)
	a.note(key, false)
	a.heal(key)
	if a.opts.Peers == nil {
		return err
	}
	others, failed := a.opts.Peers.Others(ctx)
	for _, member := range others {
		failed = errors.Join(failed, a.opts.Peers.Delete(ctx, member, key))
	}
	if failed != nil {
		a.opts.Log.Warn("a backup was not removed everywhere; who is away does it later", "backup", key, "err", failed)
	}
	return err
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

// suspect looks whether it is this console's file that is not what was verified, and has
// another one's asked for from then on.
func (a *Archives) suspect(ctx context.Context, kept Archive) {
	sum, err := hex.DecodeString(kept.SHA256)
	if err != nil || a.opts.Peers == nil {
		return
	}
	key := archiveID(kept.Instance, kept.Name)
	if is, err := a.Has(ctx, key, kept.Size, sum); err == nil && !is {
		a.damage(key)
	}
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
