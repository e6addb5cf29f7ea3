package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"
	"popup/internal/atomicfile"
	"popup/store/dqlite"
	"popup/store/sqlite"
	"popup/web"
)

func newConsoleBackupCommand(dataDir *string) *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "backup -o FILE",
		Short: "write a backup of all the console knows, while it runs or not",
		Long: `backup writes all the console knows into one file: events, deployments, instances, people
and the audit log. Secrets in it stay sealed: keep DATA/secrets.key as well, somewhere else.
The archives of instances are files in DATA/vault, and are not in it.

Of several consoles any one that runs gives all they know. One that is stopped gives what it
has on its disk: the others may know more by then.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return backupConsole(cmd, *dataDir, out) },
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`FILE` to write, which must not be there yet; - for standard output")
	return cmd
}

func backupConsole(cmd *cobra.Command, dataDir, out string) error {
	at, err := findConsole(dataDir)
	if err != nil {
		return usageError{err}
	}
	if err := at.exists(); err != nil {
		return err
	}
	switch _, err := os.Lstat(out); {
	case out == "":
		return usageError{errors.New("say where to write it: -o FILE, or -o - for standard output")}
	case out == "-":
		return at.backup(cmd.Context(), cmd.OutOrStdout())
	case err == nil:
		return usageError{fmt.Errorf("%s is there already; give another name, no backup is overwritten", out)}
	}
	if err := atomicfile.WriteFrom(out, 0o600, func(w io.Writer) error { return at.backup(cmd.Context(), w) }); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "wrote %s; keep %s as well, in another place\n", out, at.secrets())
	return err
}

// backup asks the console that runs, or opens the store where none does.
func (f consoleFolder) backup(ctx context.Context, to io.Writer) error {
	if err := web.DialControl(f.dir).Backup(ctx, to); !errors.Is(err, web.ErrNotRunning) {
		return err
	}
	if f.isClustered() {
		err := dqlite.BackupStopped(ctx, f.cluster(), to)
		if errors.Is(err, dqlite.ErrMissing) {
			return usageError{err}
		}
		return err
	}
	store, err := sqlite.Open(ctx, f.store())
	if err != nil {
		return err
	}
	return errors.Join(store.Backup(ctx, to), store.Close())
}

func newConsoleRestoreCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "restore FILE",
		Short: "make a console of a backup, in a folder that has none",
		Long: `restore makes the store of --data-dir out of a backup. A folder that has a store already is
left as it is. Put the secrets.key of the console that was backed up into --data-dir first:
without it, its secrets cannot be opened.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return restoreConsole(cmd, *dataDir, args[0]) },
	}
}

func restoreConsole(cmd *cobra.Command, dataDir, name string) (err error) {
	at, err := findConsole(dataDir)
	if err != nil {
		return usageError{err}
	}
	file, err := os.Open(name)
	if err != nil {
		return usageError{fmt.Errorf("read the backup: %w", err)}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if at.isClustered() {
		return usageError{fmt.Errorf("%s is there already: move it away, or choose another folder with --data-dir", at.cluster())}
	}
	if err := at.make(); err != nil {
		return err
	}
	if err := sqlite.Restore(cmd.Context(), at.store(), file); err != nil {
		return err
	}
	text := "restored into " + at.dir
	if _, err := os.Stat(at.secrets()); errors.Is(err, os.ErrNotExist) {
		text += "; there is no secrets.key in it: put the old one there before you start the console, its secrets need it"
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), text)
	return err
}
