package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"popup/apps"
)

func newInitCommand(fetch fetchFunc) *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "init [DIR|URL]",
		Short: "write an app.yaml from what a repository looks like",
		Long: `init looks at a folder (by default this one) or a repository, and writes an app.yaml with
comments: into the folder, or for a repository into this one. One that exists is never
overwritten.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return initManifest(cmd.Context(), cmd.OutOrStdout(), firstOr(args, "."), output, fetch)
		},
	}
	cmd.Flags().StringVarP(&output, "output", "o", "", "the file to write (default app.yaml in DIR, or here for a URL)")
	return cmd
}

func initManifest(ctx context.Context, w io.Writer, arg, output string, fetch fetchFunc) error {
	dir, repository := arg, ""
	if apps.IsRemote(arg) {
		fetched, cleanup, err := fetchArgument(ctx, arg, fetch)
		if err != nil {
			return err
		}
		defer cleanup()
		dir, repository = fetched, arg
		if output == "" {
			output = apps.FileName
		}
	}
	if output == "" {
		output = filepath.Join(dir, apps.FileName)
	}
	text, seen, err := apps.Draft(dir, repository)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s has an %s already; popup check %s reads it", arg, apps.FileName, arg)}
	}
	if err != nil {
		return err
	}
	if err := writeNew(output, text); err != nil {
		return err
	}
	fmt.Fprintln(w, seen)
	fmt.Fprintf(w, "wrote %s; popup check %s reads it\n", output, output)
	return nil
}

// writeNew writes a file that is not there yet.
func writeNew(name string, text []byte) (err error) {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usageError{fmt.Errorf("%s is there already and is not overwritten; name another file with --output", name)}
	}
	if err != nil {
		return fmt.Errorf("write manifest: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(text); err != nil {
		return errors.Join(fmt.Errorf("write manifest: %w", err), os.Remove(name))
	}
	return nil
}
