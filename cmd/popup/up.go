package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
	"popup/internal/logfile"
	"popup/internal/sqlitecopy"
	"popup/internal/wire"
	"popup/launcher"
)

// upFlags are the flags of the verbs that run an appliance.
type upFlags struct {
	config, root, listen string
	log                  string // a file; empty: standard error
	app                  appFlags
	verbose              bool
	drain                time.Duration // 0: the launcher's own
	hurry                <-chan struct{}
}

func newUpCommand() *cobra.Command {
	var f upFlags
	cmd := &cobra.Command{
		Use:   "up",
		Short: "be an appliance: fetch, install and serve an app, and keep it fresh",
		Long: `up turns a config into a served app and stays with it: it fetches the service and its
data, installs packages, builds, starts, checks, serves, and pulls data on the app's
schedule until the end the config names. Its first line on standard output is
"listening on http://HOST:PORT".

Told to stop (Ctrl-C, or TERM) it answers what is asked right now, for at most 20 s, and
ends the app; told again it ends the app at once. It exits 0 either way.

--config takes what user-data wrote (an appliance config), an app.yaml, or a folder
with one. Without it, ROOT/etc/popup/config.yaml is read.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			hurry, release := secondSignal(cmd.Context())
			defer release()
			f.hurry = hurry
			return up(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	cmd.Flags().StringVar(&f.config, "config", "", "appliance config, app.yaml, or a folder with one (default ROOT/etc/popup/config.yaml)")
	cmd.Flags().StringVar(&f.root, "root", "/", "folder that everything is kept below; any but / needs no root")
	cmd.Flags().StringVar(&f.listen, "listen", "", "HOST:PORT to serve on, without https; port 0 takes a free one (default what the config says, or :80)")
	cmd.Flags().StringVar(&f.log, "log", "", "file for the log, of which the newest 8 MiB are kept (default standard error)")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log polls that found nothing, too")
	f.app.register(cmd)
	return cmd
}

// logLimit is how much of a log in a file is kept, in bytes.
const logLimit = 8 << 20

func up(ctx context.Context, f upFlags, stdout, stderr io.Writer) error {
	if err := checkListen(f.listen); err != nil {
		return err
	}
	root, err := filepath.Abs(f.root)
	if err != nil {
		return usageError{fmt.Errorf("find --root %s: %w", f.root, err)}
	}
	if f.config == "" {
		f.config = filepath.Join(root, "etc/popup/config.yaml")
		if _, err := os.Stat(f.config); errors.Is(err, fs.ErrNotExist) {
			return usageError{fmt.Errorf("there is no %s; the text that popup userdata prints writes one, or give --config an app.yaml, a folder with one, or a shipped app like notice", f.config)}
		}
	}
	plan, detected, err := readPlan(ctx, f.config, f.app)
	if err != nil {
		return err
	}
	if detected != "" {
		fmt.Fprintln(stderr, "popup:", detected)
	}
	if f.log != "" {
		log, err := logfile.Open(f.log, logLimit)
		if err != nil {
			return usageError{err}
		}
		defer func() { _ = log.Close() }() // who logs has nobody to tell
		stderr = log
	}
	return launcher.Run(ctx, launcher.Options{
		Root: root, Listen: f.listen, Plan: plan, Version: version, Logger: newLogger(stderr, f.verbose),
		Stdout: stdout, Catalogue: shippedFolder, PowerOff: powerOff(root, plan), Drain: f.drain, Hurry: f.hurry, CopyDatabase: sqlitecopy.Command(),
	})
}

// checkListen wants an address, or nothing, of --listen.
func checkListen(listen string) error {
	if err := (wire.Serve{Listen: listen}).Check(); err != nil {
		return usageError{fmt.Errorf("--%w", err)}
	}
	return nil
}

func newLogger(w io.Writer, verbose bool) *slog.Logger {
	level := slog.LevelInfo
	if verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: level}))
}
