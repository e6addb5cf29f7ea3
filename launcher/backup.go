package launcher

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"popup/internal/archive"
	"popup/launcher/backup"
)

// A backupOrder says what backup is taken.
type backupOrder struct {
	Prepare bool // ask the app's pre_backup script first
	Final   bool // nothing is written after it
}

// backup archives the state into the vault, reads the archive back, and returns its name.
func (a *Appliance) backup(ctx context.Context, order backupOrder) (name string, err error) {
	if r := a.serving(); r != nil && order.Prepare {
		if err := a.script(ctx, r, "pre_backup", r.manifest.Scripts.PreBackup); err != nil {
			return "", err
		}
	}
	vault, err := a.openVault()
	if err != nil {
		return "", err
	}
	a.state.RLock()
	defer a.state.RUnlock()
	state, err := a.openState()
	if err != nil {
		return "", fmt.Errorf("back up state: %w", err)
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	secrets, err := a.madeSecrets()
	if err != nil {
		return "", fmt.Errorf("back up state: %w", err)
	}
	series := a.series()
	name = series.Name(time.Now())
	opts := backup.SaveOptions{
		TakeOptions: backup.TakeOptions{App: series.App, Instance: series.Instance, Final: order.Final, Secrets: secrets, Copy: a.databases()},
		Recipient:   a.opts.Plan.State.Recipient, Spool: a.at.vault(),
	}
	if _, err := backup.Save(ctx, vault, name, state, opts); err != nil {
		return "", err
	}
	a.record(Entry{Event: "backup", Message: name})
	if err := a.pruneBackups(ctx, vault, series); err != nil {
		a.log.Warn("backup", "err", err) // the new one is there, which is what was asked for
	}
	return name, nil
}

func (a *Appliance) series() backup.Series {
	return backup.Series{App: string(a.opts.Plan.Manifest.ID), Instance: a.memory.get().Instance, Sealed: a.opts.Plan.State.Recipient != ""}
}

// madeSecrets are the values that this instance made for its app, so far.
func (a *Appliance) madeSecrets() (archive.Secrets, error) {
	a.making.Lock()
	defer a.making.Unlock()
	text, err := os.ReadFile(a.at.secrets())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var secrets archive.Secrets
	if err == nil {
		err = json.Unmarshal(text, &secrets)
	}
	if err != nil {
		return nil, fmt.Errorf("read secrets %s: %w", a.at.secrets(), err)
	}
	return secrets, nil
}
