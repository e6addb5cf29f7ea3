package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
	"popup/internal/archive"
	"popup/internal/tree"
	"popup/launcher"
)

func newStateRestoreCommand() *cobra.Command {
	var f stateFlags
	var into, key string
	cmd := &cobra.Command{
		Use:   "restore [BACKUP]",
		Short: "restore a backup, the newest by default, into this machine's instance or a folder",
		Long: `restore puts a backup in the place of the state of the instance on this machine. It is
fetched and verified while the app runs; then the app is stopped, and started again with
it. Where it does not come up healthy, the state is what it was, and restore says why.

With --into it restores into an empty folder instead, and asks no instance.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var name string
			if len(args) > 0 {
				name = args[0]
				if err := archive.CheckName(name); err != nil {
					return usageError{err}
				}
			}
			if err := f.check(); err != nil {
				return err
			}
			identity, err := readStateKey(key)
			if err == nil && key != "" {
				if err = archive.CheckIdentity(identity); err != nil {
					err = usageError{fmt.Errorf("--state-key %s: %w", key, err)}
				}
			}
			if err != nil {
				return err
			}
			restored, err := f.restore(cmd, launcher.HandOrder{Of: f.of, Name: name, Identity: identity, Into: into})
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), restored)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "restored %s: %d files, %s\n", restored.Name, restored.Files, tree.Bytes(restored.Size))
			for _, note := range restored.Notes {
				fmt.Fprintln(cmd.OutOrStdout(), note)
			}
			return nil
		},
	}
	f.register(cmd)
	cmd.Flags().StringVar(&into, "into", "", "an empty `DIR` to restore into, made where it is missing; needs --vault")
	cmd.Flags().StringVar(&key, "state-key", "", "`FILE` with the key that opens an encrypted backup, as age-keygen writes it")
	return cmd
}

func (f *stateFlags) restore(cmd *cobra.Command, order launcher.HandOrder) (restored launcher.Backup, err error) {
	if order.Into != "" {
		if f.vault.Vault == "" {
			return restored, usageError{errors.New("--into restores without an instance; name with --vault where the backups are")}
		}
		hand, err := launcher.OpenHand(f.vault)
		if err != nil {
			return restored, err
		}
		return hand.Restore(cmd.Context(), order)
	}
	client, err := launcher.Dial(f.root)
	if err != nil {
		return restored, err
	}
	return client.Restore(cmd.Context(), launcher.RestoreOrder{Vault: f.vault, Of: order.Of, Name: order.Name, Identity: order.Identity})
}
