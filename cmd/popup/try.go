package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"
)

func newTryCommand() *cobra.Command {
	f := upFlags{listen: "127.0.0.1:0"}
	cmd := &cobra.Command{
		Use:   "try [DIR|URL|APP]",
		Short: "run an app here, in a temporary root that Ctrl-C takes away again",
		Long: `try serves an app, by default the one in this folder, from a temporary root on a free
port, and needs no root. It names that root, so that popup status, sync and rollback can
be tried with --root.

Ctrl-C answers what is asked right now, for at most 5 s, ends the app and removes the
root; a second Ctrl-C does so at once. It exits 0 either way.

Run as root it does what a machine does: it makes the user popup-app, closes the instance
metadata to it (the nftables table inet popup), and installs the packages that the app
asks for. These three stay.`,
		Args: cobra.MaximumNArgs(1),
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

// tryDrain is how long try waits for requests under way: whoever tries an app sits
// before it, and asked for those requests.
const tryDrain = 5 * time.Second

// try runs up in a root of its own and takes it away again.
func try(cmd *cobra.Command, f upFlags) (err error) {
	hurry, release := secondSignal(cmd.Context())
	defer release() // last: a signal while the root is removed must not leave half of it
	if err := checkListen(f.listen); err != nil {
		return err
	}
	root, err := os.MkdirTemp("", "popup-try-")
	if err != nil {
		return fmt.Errorf("make a temporary root: %w", err)
	}
	// The app's own user must reach what is below.
	if err := os.Chmod(root, 0o755); err != nil {
		return fmt.Errorf("make a temporary root: %w", err)
	}
	defer func() { err = errors.Join(err, removeRoot(root)) }()
	fmt.Fprintf(cmd.ErrOrStderr(), "popup: the root is %s; popup status --root %s tells how it is\n", root, root)
	f.root, f.drain, f.hurry = root, tryDrain, hurry
	err = up(cmd.Context(), f, cmd.OutOrStdout(), cmd.ErrOrStderr())
	if cmd.Context().Err() != nil && errors.Is(err, context.Canceled) {
		return nil // it was told to stop before there was anything to serve
	}
	return err
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
