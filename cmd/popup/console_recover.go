package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"popup/store/dqlite"
)

func newConsoleRecoverClusterCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "recover-cluster DATA",
		Short: "go on with the one console that is left of a cluster, where most are lost for good",
		Long: `recover-cluster makes the console in --data-dir, which is stopped, a cluster of its own, out of
what it has on its disk. It is for when so many are lost for good that no leader can be had:
two of three. Where they can come back, let them: nothing is lost then.

What this console has is kept. What the lost ones acknowledged while this one was cut off or
behind is lost; it says when the newest change was made that it has. What reached it without
having been acknowledged may be true from now on.

Never start the lost ones on their old folders: two of them together would go on by
themselves. Where they reach this console they are refused, since its certificates are new
ones. Remove DATA/cluster there, and let them join again.

The folder as it was is kept beside, as DATA/cluster.before-recovery. To confirm all that,
name the folder: DATA is what --data-dir says.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return recoverCluster(cmd, *dataDir, args) },
	}
}

func recoverCluster(cmd *cobra.Command, dataDir string, confirmed []string) error {
	at, err := findConsole(dataDir)
	if err != nil {
		return usageError{err}
	}
	if !at.isClustered() {
		return usageError{fmt.Errorf("there is no console of a cluster in %s; give its folder with --data-dir", at.dir)}
	}
	if len(confirmed) == 0 {
		return usageError{fmt.Errorf("this gives up for good what only the other consoles know; read popup console recover-cluster --help, and confirm by naming the folder: popup console recover-cluster %s --data-dir %s", at.dir, at.dir)}
	}
	if confirmed[0] != at.dir {
		return usageError{fmt.Errorf("%s is not the folder of this console, which is %s; nothing was done", confirmed[0], at.dir)}
	}
	r, err := dqlite.Recover(cmd.Context(), at.cluster())
	if errors.Is(err, dqlite.ErrMissing) {
		return usageError{err}
	}
	if err != nil {
		return err
	}
	newest := "it remembers no change"
	if !r.Newest.IsZero() {
		newest = "its newest change was made at " + r.Newest.Format(time.RFC3339)
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "the console in %s is a cluster of its own now; %s. What was there before is in %s. Start it as ever, let others join, and never start the lost ones on their old folders.\n",
		at.dir, newest, r.Aside)
	return err
}
