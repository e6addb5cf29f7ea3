package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
)

func newTryCommand() *cobra.Command {
	f := upFlags{listen: "127.0.0.1:0"}
	cmd := &cobra.Command{
		Use:   "try [DIR|URL|APP]",
		Short: "run an app here, in a temporary root; Ctrl-C leaves nothing behind",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.config = "."
			if len(args) > 0 {
				f.config = args[0]
			}
			return try(cmd, f)
		},
	}
	cmd.Flags().StringVar(&f.listen, "listen", f.listen, "HOST:PORT to serve on")
	cmd.Flags().BoolVarP(&f.verbose, "verbose", "v", false, "log polls that found nothing, too")
	f.app.register(cmd)
	return cmd
}

// try runs up in a root of its own and takes it away again.
func try(cmd *cobra.Command, f upFlags) (err error) {
	root, err := os.MkdirTemp("", "popup-try-")
	if err != nil {
		return fmt.Errorf("make a temporary root: %w", err)
	}
	// The app's own user must reach what is below.
	if err := os.Chmod(root, 0o755); err != nil {
		return fmt.Errorf("make a temporary root: %w", err)
	}
	defer func() { err = errors.Join(err, removeRoot(root)) }()
	f.root = root
	return up(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
}

// removeRoot removes a root whose published trees are read-only.
func removeRoot(root string) error {
	walkErr := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(path, 0o700)
		}
		return nil
	})
	return errors.Join(walkErr, os.RemoveAll(root))
}
