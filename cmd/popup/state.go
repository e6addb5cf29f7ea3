package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"popup/internal/tree"
	"popup/internal/wire"
	"popup/launcher"
)

// stateFlags find backups: those of the instance on this machine, or those of any vault.
type stateFlags struct {
	localFlags
	vault wire.State
	of    string
}

func (f *stateFlags) register(cmd *cobra.Command) {
	f.localFlags.register(cmd)
	cmd.Flags().StringVar(&f.vault.Vault, "vault", "", "s3://bucket/folder/, or a folder (default that of the instance on this machine)")
	cmd.Flags().StringVar(&f.vault.Endpoint, "endpoint", "", "URL of the bucket's server (default AWS_ENDPOINT_URL_S3, or Amazon's)")
	cmd.Flags().StringVar(&f.vault.Region, "region", "", "of the bucket (default AWS_REGION)")
	cmd.Flags().StringVar(&f.vault.CredentialsFile, "credentials-file", "", "signs in to the bucket (default AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY)")
	cmd.Flags().StringVar(&f.of, "of", "", "APP-INSTANCE, in a vault with the backups of several")
}

// check refuses flags that would mean nothing.
func (f *stateFlags) check() error {
	if f.vault.Vault == "" && f.vault.Endpoint+f.vault.Region+f.vault.CredentialsFile+f.of != "" {
		return usageError{errors.New("--endpoint, --region, --credentials-file and --of are about a vault; name it with --vault")}
	}
	var err error // the paths may be opened by another process
	if file := &f.vault.CredentialsFile; *file != "" {
		*file, err = filepath.Abs(*file)
	}
	if strings.HasPrefix(f.vault.Vault, wire.VaultBucket) || f.vault.Vault == "" {
		return err
	}
	if f.vault.Endpoint+f.vault.Region+f.vault.CredentialsFile != "" {
		return usageError{errors.New("--endpoint, --region and --credentials-file are for a bucket; write --vault s3://bucket/folder/")}
	}
	f.vault.Vault, err = filepath.Abs(f.vault.Vault)
	return err
}

func newStateCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state",
		Short: "list, take, prune and restore backups of an app's state",
		Long: `state is about what an app wrote. Its verbs ask the instance on this machine, or, with
--vault, work on any bucket or folder that holds backups, without an instance.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newStateListCommand(), newStateBackupCommand(), newStatePruneCommand(), newStateRestoreCommand(), newStateKeyCommand())
	return cmd
}

func newStateListCommand() *cobra.Command {
	var f stateFlags
	cmd := &cobra.Command{
		Use:   "list",
		Short: "say which backups there are, the newest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			list, err := f.list(cmd)
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), list)
			}
			return printBackups(cmd.OutOrStdout(), list)
		},
	}
	f.register(cmd)
	return cmd
}

func (f *stateFlags) list(cmd *cobra.Command) ([]launcher.Backup, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if f.vault.Vault == "" {
		client, err := launcher.Dial(f.root)
		if err != nil {
			return nil, err
		}
		return client.Backups(cmd.Context())
	}
	hand, err := launcher.OpenHand(f.vault)
	if err != nil {
		return nil, err
	}
	return hand.List(cmd.Context(), f.of)
}

func printBackups(w io.Writer, list []launcher.Backup) error {
	if len(list) == 0 {
		_, err := fmt.Fprintln(w, "there are no backups")
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "TAKEN\tSIZE\tBACKUP")
	for _, b := range list {
		fmt.Fprintf(table, "%s\t%s\t%s\n", b.Taken.Format("2006-01-02 15:04:05"), tree.Bytes(b.Size), b.Name)
	}
	return table.Flush()
}

func newStateBackupCommand() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use:   "backup",
		Short: "have the instance on this machine take a backup now, and wait until it was read back",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := launcher.Dial(f.root)
			if err != nil {
				return err
			}
			taken, err := client.BackUp(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), taken)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), taken.Name)
			return err
		},
	}
	f.register(cmd)
	return cmd
}

func newStatePruneCommand() *cobra.Command {
	var f stateFlags
	var keep int
	cmd := &cobra.Command{
		Use:   "prune --keep N",
		Short: "remove all but the newest backups of each instance",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			removed, err := f.prune(cmd, keep)
			if f.json {
				return errors.Join(printJSON(cmd.OutOrStdout(), removed), err)
			}
			for _, name := range removed {
				fmt.Fprintln(cmd.OutOrStdout(), "removed", name)
			}
			return err
		},
	}
	f.register(cmd)
	cmd.Flags().IntVar(&keep, "keep", 0, "how many backups of an instance stay, at least 1")
	return cmd
}

func (f *stateFlags) prune(cmd *cobra.Command, keep int) ([]string, error) {
	if err := f.check(); err != nil {
		return nil, err
	}
	if keep < 1 {
		return nil, usageError{errors.New("say with --keep how many backups stay, at least 1")}
	}
	if f.vault.Vault == "" {
		client, err := launcher.Dial(f.root)
		if err != nil {
			return nil, err
		}
		return client.PruneBackups(cmd.Context(), keep)
	}
	hand, err := launcher.OpenHand(f.vault)
	if err != nil {
		return nil, err
	}
	return hand.Prune(cmd.Context(), f.of, keep)
}

// maxKeyFile bounds a file of keys, in bytes.
const maxKeyFile = 64 << 10

// readStateKey reads what opens an encrypted backup. Nothing of it is ever in an error.
func readStateKey(path string) (identity string, err error) {
	if path == "" {
		return "", nil
	}
	file, err := os.Open(path)
	if err != nil {
		return "", usageError{fmt.Errorf("read --state-key: %w", err)}
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	text, err := io.ReadAll(io.LimitReader(file, maxKeyFile))
	if err != nil {
		return "", fmt.Errorf("read --state-key %s: %w", path, err)
	}
	return string(text), nil
}
