package launcher

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"popup/internal/archive"
	"popup/internal/git"
	"popup/internal/wire"
	"popup/launcher/backup"
)

// restoreFirst has the state begin with the archive that the console named, if it named
// one and there is no state yet. An app with state is not started before: one that began
// with nothing could not be told from one that lost everything.
func (a *Appliance) restoreFirst(ctx context.Context) {
	if a.mountState(ctx) == nil && a.awaitRestore(ctx) == nil {
		close(a.stateReady)
	}
}

// awaitState waits until the state is what the app is to begin with.
func (a *Appliance) awaitState(ctx context.Context) error {
	select {
	case <-a.stateReady:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// awaitRestore returns nil, or ctx's error.
func (a *Appliance) awaitRestore(ctx context.Context) error {
	if a.console == nil || a.opts.Plan.Manifest.State == nil {
		return nil
	}
	select {
	case <-a.console.enrolled:
	case <-ctx.Done():
		return ctx.Err()
	}
	order := a.console.kept.get().Restore
	if order == nil {
		return nil
	}
	a.board.add(PhaseRestore, PhaseStart)
	backoff, final := a.backoff(PhaseRestore, 0), finalBackoff
	final.Instance = backoff.Instance
	for failed := 1; ; failed++ {
		a.board.running(PhaseRestore)
		kept, err := a.restoreOnce(ctx, *order)
		switch {
		case err == nil && kept:
			a.board.kept(PhaseRestore)
			return nil
		case err == nil:
			a.board.done(PhaseRestore)
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		}
		wait := backoff.Wait(failed, err)
		if standsFast(err) {
			wait = final.Wait(failed, err)
		}
		a.board.failed(PhaseRestore, &phaseError{PhaseRestore, restoreCause(err), err}, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// restoreOnce restores what order names, unless there is a state already. The key that
// opened it is forgotten then.
func (a *Appliance) restoreOnce(ctx context.Context, order wire.Restore) (kept bool, err error) {
	state, err := a.openState()
	if err != nil {
		return false, fmt.Errorf("restore the state: %w", err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	empty, err := backup.IsEmpty(state)
	if err != nil {
		return false, err
	}
	if kept = !empty || a.memory.get().Restored != ""; kept {
		if a.memory.get().Restored == "" {
			a.record(Entry{Event: "restore", Message: "there is a state already, which is kept; " + order.Name + " is not restored"})
		}
	} else if err := a.receiveFirst(ctx, order, state); err != nil {
		return false, err
	}
	return kept, a.console.kept.update(func(t *consoleFacts) { t.Restore = nil })
}

func (a *Appliance) receiveFirst(ctx context.Context, order wire.Restore, state *os.Root) error {
	spec := a.opts.Plan.State
	spec.Vault = order.Vault
	m, err := a.receive(ctx, RestoreOrder{Vault: spec, Name: order.Name, Identity: order.Identity}, state)
	if err != nil {
		return err
	}
	if err := a.trySecrets(m.Secrets); err != nil {
		return err
	}
	if err := backup.Replace(state); err != nil {
		return err
	}
	if err := a.keepState(state); err != nil {
		return err
	}
	a.record(Entry{Event: "restore", Message: order.Name})
	return a.memory.update(func(f *facts) { f.Restored = order.Name })
}

// receive restores an archive beside the state.
func (a *Appliance) receive(ctx context.Context, order RestoreOrder, state *os.Root) (m archive.Manifest, err error) {
	vault, err := a.vaultOf(order.Vault)
	if err != nil {
		return m, err
	}
	r, err := vault.Get(ctx, order.Name)
	if err != nil {
		return m, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	plain, err := archive.Open(order.Name, r, order.Identity)
	if err != nil {
		return m, err
	}
	uid, gid := a.ids()
	m, err = backup.Receive(ctx, plain, state, archive.Limits{}, func(aside *os.Root) error {
		if uid < 0 {
			return nil
		}
		return own(aside, uid, gid)
	})
	if err != nil {
		return m, fmt.Errorf("%s: %w", order.Name, err)
	}
	return m, nil
}

// vaultOf opens a vault to read from. Whoever reads asks again by itself.
func (a *Appliance) vaultOf(spec wire.State) (archive.Vault, error) {
	if spec.Vault == wire.VaultConsole {
		if a.console == nil {
			return nil, errors.New("this instance has no console, whose vault it could be")
		}
		v := a.console.vault()
		v.once = true
		return v, nil
	}
	spec.Vault = firstOf(spec.Vault, a.at.vault())
	return OpenVault(spec)
}

// standsFast says whether err stays until somebody does something.
func standsFast(err error) bool {
	var known *git.Error
	var refused *consoleError
	switch {
	case errors.Is(err, archive.ErrCorrupt), errors.Is(err, archive.ErrNotFound), errors.Is(err, archive.ErrIdentity):
		return true
	case errors.As(err, &known):
		return !known.Retry
	case errors.As(err, &refused):
		return refused.final()
	}
	return false
}

// restoreCause is what the boot page says of err.
func restoreCause(err error) string {
	switch {
	case errors.Is(err, archive.ErrCorrupt):
		return "the backup that this begins with is damaged; launch it with another one"
	case errors.Is(err, archive.ErrNotFound):
		return "there is no such backup as this is to begin with; launch it with another one"
	case errors.Is(err, archive.ErrIdentity):
		return "the backup that this begins with is encrypted for another key"
	case standsFast(err):
		return "the vault does not give out the backup that this begins with"
	}
	return "the backup that this begins with could not be had yet"
}

// settleState finishes a restore that a crash met after it was kept, and goes back on one
// that it met before. Nothing of the app's runs yet.
func (a *Appliance) settleState() (err error) {
	state, err := os.OpenRoot(a.at.state())
	if err != nil {
		return fmt.Errorf("settle the state: %w", err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	if backup.Kept(state) {
		err = a.keepSecrets()
	} else {
		err = a.dropSecrets()
	}
	return errors.Join(err, backup.Settle(state))
}

// keepState makes what was put in the state's place the state, with its secrets.
func (a *Appliance) keepState(state *os.Root) error {
	if err := backup.Keep(state); err != nil {
		return err
	}
	return errors.Join(a.keepSecrets(), backup.Settle(state))
}

// trySecrets has the app given the secrets that a backup brought, and those it had for
// what the backup brought none, until keepSecrets or dropSecrets.
func (a *Appliance) trySecrets(brought archive.Secrets) error {
	if len(brought) == 0 {
		return nil
	}
	had, err := a.madeSecrets()
	if err != nil {
		return err
	}
	a.making.Lock()
	defer a.making.Unlock()
	if err := writeSecrets(a.at.nextSecrets(), merged(had, brought)); err != nil {
		return err
	}
	a.trying = true
	return nil
}

func merged(all ...archive.Secrets) map[string]string {
	secrets := map[string]string{}
	for _, some := range all {
		for name, value := range some {
			secrets[name] = value
		}
	}
	return secrets
}

func (a *Appliance) keepSecrets() error {
	a.making.Lock()
	defer a.making.Unlock()
	a.trying = false
	err := os.Rename(a.at.nextSecrets(), a.at.secrets())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("keep the restored secrets: %w", err)
	}
	return nil
}

func (a *Appliance) dropSecrets() error {
	a.making.Lock()
	defer a.making.Unlock()
	a.trying = false
	err := os.Remove(a.at.nextSecrets())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("drop the restored secrets: %w", err)
	}
	return nil
}
