package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/spf13/pflag"
	"popup/console"
	"popup/store/dqlite"
	"popup/store/sqlite"
)

// clusterFlags say how a console keeps its store together with others.
type clusterFlags struct{ address string }

func (c *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&c.address, "cluster-address", "", "`HOST:PORT` at which other consoles reach this one, to keep the store together (default: it keeps it alone)")
}

func (f consoleFolder) cluster() string { return filepath.Join(f.dir, "cluster") }

// isClustered says whether the folder's store is one of a cluster.
func (f consoleFolder) isClustered() bool {
	_, err := os.Stat(f.cluster())
	return err == nil
}

// openStore opens the store that this console keeps alone, or with others. With others
// it takes in what it kept alone until then.
func (f consoleFolder) openStore(ctx context.Context, cluster clusterFlags, log *slog.Logger) (console.Store, error) {
	if cluster.address != "" {
		store, err := dqlite.Grow(ctx, dqlite.Options{Dir: f.cluster(), Address: cluster.address, Log: log}, f.store())
		if errors.Is(err, dqlite.ErrMissing) {
			return nil, usageError{fmt.Errorf("--cluster-address: %w", err)}
		}
		if err != nil {
			return nil, err
		}
		return store, nil
	}
	if f.isClustered() {
		return nil, usageError{fmt.Errorf("the console in %s keeps its store in a cluster: give --cluster-address again", f.dir)}
	}
	store, err := sqlite.Open(ctx, f.store())
	if err != nil {
		return nil, err
	}
	return store, nil
}
