package console

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"popup/internal/archive"
	"popup/internal/wire"
)

// A Beginning is the backup that a deployment's state begins with.
type Beginning struct {
	Instance string `json:"instance"` // whose state it was
	Name     string `json:"name"`
	// Deployment is that instance's: its key opens the backup, where that is encrypted.
	Deployment string `json:"deployment"`
	Vault      string `json:"vault"` // as wire.State has it
}

// id is what an instance asks the console's vault for it by. No archive of its own has
// that name: an instance's id has no dot here, and stands before each of those.
func (b Beginning) id() string { return archiveID(b.Instance, b.Name) }

// beginning finds the backup that a launch is to begin with, written INSTANCE/NAME; nil
// where none is named. What is wrong is noted.
func (c *Console) beginning(ctx context.Context, a Actor, d Deployment, named string, w *wrong) (b *Beginning, err error) {
	if named == "" {
		return nil, nil
	}
	instance, name, ok := strings.Cut(named, "/")
	switch {
	case !ok || wire.CheckInstance(instance) != nil || archive.CheckName(name) != nil:
		w.add("restore", "write it as INSTANCE/NAME, as the archives of an event are listed")
		return nil, nil
	case !d.HasState():
		w.add("restore", d.Title+" keeps nothing that visitors write; leave it out")
		return nil, nil
	}
	err = c.store.View(ctx, func(tx Tx) (err error) { b, err = c.beginningIn(tx, a, d, instance, name, w); return err })
	if errors.Is(err, ErrNotFound) || errors.Is(err, ErrForbidden) {
		w.add("restore", "there is no such backup that is yours to fetch; it may have been removed, or never have come")
		return nil, nil
	}
	return b, err
}

func (c *Console) beginningIn(tx Tx, a Actor, d Deployment, instance, name string, w *wrong) (*Beginning, error) {
	i, _, err := c.instanceFor(tx, a, Fetch, instance)
	if err != nil {
		return nil, err
	}
	from, err := get[Deployment](tx, i.Deployment)
	if err != nil {
		return nil, err
	}
	b := &Beginning{Instance: instance, Name: name, Deployment: from.ID, Vault: from.Plan.State.Vault}
	if b.Vault == wire.VaultConsole {
		if _, err := get[Archive](tx, b.id()); err != nil {
			return nil, err
		}
	}
	if from.App != d.App { // last: this may run more than once
		w.add("restore", fmt.Sprintf("that is a backup of %s, and %s would not know what to do with it", from.App, d.App))
	}
	return b, nil
}

// restoreOf is what an instance is told that its state begins with; nil: nothing. One that
// was launched for another goes on with what that one left.
func (c *Console) restoreOf(ctx context.Context, d Deployment, i Instance) (*wire.Restore, error) {
	b := d.Restore
	if b == nil || i.Replaces != "" {
		return nil, nil
	}
	if b.Vault == wire.VaultConsole {
		return &wire.Restore{Vault: b.Vault, Name: b.id()}, nil
	}
	identity, err := c.stateKey(ctx, b.Deployment)
	return &wire.Restore{Vault: b.Vault, Name: b.Name, Identity: identity}, err
}

// archiveFor finds what an instance asks the vault for: an archive of its own, or the one
// that it begins with. Any other is ErrNotFound.
func archiveFor(tx Tx, i Instance, name string) (Archive, error) {
	d, err := get[Deployment](tx, i.Deployment)
	if err != nil {
		return Archive{}, err
	}
	if d.Restore != nil && name == d.Restore.id() {
		return get[Archive](tx, name)
	}
	return get[Archive](tx, archiveID(i.ID, name))
}
