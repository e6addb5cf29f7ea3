package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"popup/console"
	"popup/console/peers"
	"popup/internal/archive"
	"popup/store/dqlite"
)

// A consoleFolder is where a console keeps everything; docs/ARCHITECTURE.md draws it.
type consoleFolder struct{ dir string }

func (f consoleFolder) store() string     { return filepath.Join(f.dir, "store") }
func (f consoleFolder) secrets() string   { return filepath.Join(f.dir, "secrets.key") }
func (f consoleFolder) vault() string     { return filepath.Join(f.dir, "vault") }
func (f consoleFolder) tls() string       { return filepath.Join(f.dir, "tls") }
func (f consoleFolder) catalogue() string { return filepath.Join(f.dir, "catalogue") }
func (f consoleFolder) instances() string { return filepath.Join(f.dir, "instances") }

// machines is where those of a cloud of real machines are.
func (f consoleFolder) machines(cloud string) string { return filepath.Join(f.dir, cloud) }

// findConsole is the folder that --data-dir names, or the one of this user's. Root's is
// not in its home, which the users of apps may not pass through. Nothing is made.
func findConsole(dataDir string) (consoleFolder, error) {
	if dataDir == "" && os.Geteuid() == 0 {
		dataDir = "/var/lib/popup-console"
	}
	if dataDir == "" {
		data := os.Getenv("XDG_DATA_HOME")
		if data == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return consoleFolder{}, fmt.Errorf("find your home: %w; give a folder with --data-dir", err)
			}
			data = filepath.Join(home, ".local/share")
		}
		dataDir = filepath.Join(data, "popup-console")
	}
	dir, err := filepath.Abs(dataDir)
	if err != nil {
		return consoleFolder{}, fmt.Errorf("find --data-dir %s: %w", dataDir, err)
	}
	return consoleFolder{dir}, nil
}

// consoleKept is what is open of a console's folder.
type consoleKept struct {
	store    console.Store
	others   *dqlite.Cluster // with which it is kept; nil: none
	address  string          // at which they reach this one; empty: there are none
	keys     *console.Keys
	archives *console.Archives
	peers    *peers.Client // nil: none
}

func (k consoleKept) Close() error { return k.store.Close() }

// make makes the folder. Where popup is root, apps have a user of their own, who passes
// through it to their instance.
func (f consoleFolder) make() error {
	mode := os.FileMode(0o700)
	if os.Geteuid() == 0 {
		mode = 0o711
	}
	if err := os.MkdirAll(f.dir, mode); err != nil {
		return fmt.Errorf("make --data-dir: %w", err)
	}
	return nil
}

// open makes the folder, or opens what is in it. The error says so where another
// console has it.
func (f consoleFolder) open(ctx context.Context, cluster clusterFlags, log *slog.Logger) (consoleKept, error) {
	if err := f.make(); err != nil {
		return consoleKept{}, err
	}
	address, err := f.enterCluster(ctx, cluster, log)
	if err != nil {
		return consoleKept{}, err
	}
	keys, err := console.OpenKeys(f.secrets())
	if err != nil {
		return consoleKept{}, err
	}
	vault, err := archive.FolderVault(f.vault())
	if err != nil {
		return consoleKept{}, err
	}
	store, others, err := f.openStore(ctx, address, log)
	if err != nil {
		return consoleKept{}, err
	}
	kept := consoleKept{store: store, others: others, address: address, keys: keys}
	options := console.ArchivesOptions{Vault: vault, Free: func() (int64, error) { return archive.FreeSpace(f.vault()) }, Log: log}
	if others != nil {
		kept.peers = peers.New(others.Client(), peers.Others(others))
		options.Peers = kept.peers
	}
	kept.archives = console.NewArchives(options)
	return kept, nil
}

// exists says in a sentence that there is no console yet.
func (f consoleFolder) exists() error {
	if _, err := os.Stat(f.store()); errors.Is(err, os.ErrNotExist) && !f.isClustered() {
		return usageError{fmt.Errorf("there is no console in %s; give its folder with --data-dir, or start one with popup console", f.dir)}
	}
	return nil
}
