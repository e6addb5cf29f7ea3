package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
	"popup/launcher/backup"
)

// A RestoreOrder says what is put in the place of the state.
type RestoreOrder struct {
	Vault    wire.State `json:"vault"`              // where it is; without a Vault: where this instance's backups go
	Of       string     `json:"of,omitempty"`       // an app and instance; empty: this one
	Name     string     `json:"name,omitempty"`     // empty: the newest of Of
	Identity string     `json:"identity,omitempty"` // opens an archive that is encrypted
}

// A Backup is an archive in a vault, by its name.
type Backup struct {
	Name  string    `json:"name"`
	Of    string    `json:"of,omitempty"`    // its app and instance; empty: the name does not say
	Taken time.Time `json:"taken,omitzero"`  // what the name says
	Size  int64     `json:"size,omitempty"`  // bytes; of one that was restored, of its files
	Kept  time.Time `json:"kept,omitzero"`   // since when it is there
	Notes []string  `json:"notes,omitempty"` // of one that was restored
	Files int       `json:"files,omitempty"` // of one that was restored
}

// BackUp takes a backup now, and returns its name.
func (a *Appliance) BackUp(ctx context.Context) (Backup, error) {
	if err := a.mayHaveState(); err != nil {
		return Backup{}, err
	}
	name, err := a.backup(ctx, backupOrder{Prepare: true})
	if err != nil {
		return Backup{}, err
	}
	return named(archive.Item{Name: name}), nil
}

// Backups are this instance's, the newest first.
func (a *Appliance) Backups(ctx context.Context) ([]Backup, error) {
	if err := a.mayHaveState(); err != nil {
		return nil, err
	}
	vault, err := a.openVault()
	if err != nil {
		return nil, err
	}
	items, err := a.series().List(ctx, vault)
	if err != nil {
		return nil, err
	}
	return allNamed(items), nil
}

// PruneBackups keeps so many of this instance's newest backups, and returns the names of
// those it removed.
func (a *Appliance) PruneBackups(ctx context.Context, keep int) ([]string, error) {
	if err := a.mayHaveState(); err != nil {
		return nil, err
	}
	vault, err := a.openVault()
	if err != nil {
		return nil, err
	}
	return backup.Prune(ctx, vault, a.series().Of(), keep)
}

func (a *Appliance) mayHaveState() error {
	switch {
	case !a.isPrepared():
		return errNotLive
	case a.opts.Plan.Manifest.State == nil:
		return errors.New("this app has no state, so there is nothing to back up or restore")
	}
	return nil
}

func named(item archive.Item) Backup {
	of, at, _ := backup.ParseName(item.Name)
	return Backup{Name: item.Name, Of: of, Taken: at, Size: item.Size, Kept: item.Modified}
}

// errRestoring says that there is one at a time.
var errRestoring = errors.New("a restore is under way already; wait until it is done")

// Restore puts a backup in the place of the state: it is fetched and verified beside it
// while the app runs; then the app is stopped, and started again with it. Where it does
// not come up healthy, and after any error, the state is what it was.
func (a *Appliance) Restore(ctx context.Context, order RestoreOrder) (Backup, error) {
	if err := errors.Join(a.mayChange(), a.mayHaveState()); err != nil {
		return Backup{}, err
	}
	if !a.restoring.TryLock() {
		return Backup{}, errRestoring
	}
	defer a.restoring.Unlock()
	if order.Vault.Vault == "" {
		order.Vault = a.opts.Plan.State
	}
	if order.Name == "" {
		vault, err := a.vaultOf(order.Vault)
		if err != nil {
			return Backup{}, err
		}
		if order.Name, err = backup.Newest(ctx, vault, firstOf(order.Of, a.series().Of())); err != nil {
			return Backup{}, err
		}
	}
	state, err := a.openState()
	if err != nil {
		return Backup{}, fmt.Errorf("restore the state: %w", err)
	}
	m, err := a.restoreBeside(ctx, order, state)
	if err := errors.Join(err, state.Close()); err != nil {
		return Backup{}, err
	}
	return describeRestored(order.Name, m), nil
}

func (a *Appliance) restoreBeside(ctx context.Context, order RestoreOrder, state *os.Root) (archive.Manifest, error) {
	m, err := a.receive(ctx, order, state)
	if err != nil {
		return m, err
	}
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return m, errors.Join(err, backup.Settle(state))
	}
	defer unlock()
	ctx = a.ctx // from here on it is done, or gone back on, whether somebody waits for it or not
	if err := a.swapState(ctx, state, m); err != nil {
		a.record(Entry{Event: "restore", Message: "the state is what it was: " + err.Error()})
		return m, err
	}
	a.record(Entry{Event: "restore", Message: order.Name})
	return m, a.memory.update(func(f *facts) { f.Restored = order.Name })
}

// swapState replaces the state under the stopped app. The caller holds the change lock.
func (a *Appliance) swapState(ctx context.Context, state *os.Root, m archive.Manifest) error {
	a.state.Lock()
	defer a.state.Unlock()
	before := a.serving()
	a.stopForState(ctx, before)
	err := a.trySecrets(m.Secrets)
	if err == nil {
		err = backup.Replace(state)
	}
	if err == nil && before != nil {
		if err = a.activate(ctx, before.pair); err != nil {
			err = fmt.Errorf("the app does not come up with what was restored: %w", err)
		}
	}
	if err == nil {
		return a.keepState(state)
	}
	a.stopForState(ctx, a.serving())
	err = errors.Join(err, backup.Settle(state), a.dropSecrets())
	if before != nil {
		if again := a.activate(context.WithoutCancel(ctx), before.pair); again != nil {
			err = errors.Join(err, fmt.Errorf("start the app again with the state as it was: %w", again))
		}
	}
	return err
}

// stopForState ends the app, which must not write while its state is replaced. What it
// serves is served again by what is activated next.
func (a *Appliance) stopForState(ctx context.Context, r *running) {
	if r == nil || r.process == nil {
		return
	}
	if err := r.process.Stop(ctx); err != nil {
		a.log.Error("stop app", "err", err)
	}
}
