package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"
	"popup/internal/archive"
)

func newStateKeyCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "key FILE",
		Short: "make a key for encrypted backups, and print whom they are then encrypted to",
		Long: `key writes a new key into FILE, which must not be there yet, and prints its recipient: the
state.recipient of a plan. Whoever has FILE can open the backups; without it nobody can.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			identity, recipient, err := archive.NewIdentity()
			if err != nil {
				return err
			}
			text := fmt.Sprintf("# created: %s\n# public key: %s\n%s\n", time.Now().UTC().Format(time.RFC3339), recipient, identity)
			if err := writeKey(args[0], text); err != nil {
				return err
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), recipient)
			return err
		},
	}
}

// writeKey writes a file for its owner alone, and replaces none.
func writeKey(path, text string) (err error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already, and may be the only key to some backups; name another file", path)}
	}
	if err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteString(text); err != nil {
		return fmt.Errorf("write the key: %w", err)
	}
	return file.Sync()
}
