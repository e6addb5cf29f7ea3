package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"popup/apps"
)

// fetchFunc brings a repository (URL or URL#REF) into a temporary folder, which
// cleanup removes. cleanup is nil only when there is an error.
type fetchFunc func(ctx context.Context, address string) (dir string, cleanup func(), err error)

func newCheckCommand(fetch fetchFunc) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "check [DIR|URL|FILE|APP]",
		Short: "find every problem of an app's manifest",
		Long: `check reads the app.yaml of a folder (by default this one), of a repository, of an app
that ships with popup, or a file, and prints every problem, each with its line and column.
In a folder it looks for what is served, too. Where there is no app.yaml it says what was
detected. Exit code 2 says that there are problems.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			loaded, err := loadArgument(cmd.Context(), firstOr(args, "."), fetch)
			return reportCheck(cmd.OutOrStdout(), loaded, err, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

func firstOr(args []string, otherwise string) string {
	if len(args) > 0 {
		return args[0]
	}
	return otherwise
}

// loadArgument reads the manifest that a folder, a file, a repository or a shipped
// app has, and looks for the files it serves, but for a file alone.
func loadArgument(ctx context.Context, arg string, fetch fetchFunc) (loaded apps.Loaded, err error) {
	if apps.IsRemote(arg) {
		dir, cleanup, err := fetchArgument(ctx, arg, fetch)
		if err != nil {
			return apps.Loaded{}, err
		}
		defer cleanup()
		if loaded, err = apps.LoadCheckout(dir, arg, apps.Given{}); err != nil {
			return loaded, err
		}
		return loaded, checkFolder(loaded, dir, arg)
	}
	info, err := os.Stat(arg)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if loaded, err = apps.LoadShipped(apps.AppID(arg)); err != nil {
			return loaded, noSuchApp(arg)
		}
		folder, err := apps.ShippedFS(loaded.Shipped)
		if err != nil {
			return loaded, err
		}
		return loaded, loaded.CheckFiles(folder, "")
	case err != nil:
		return loaded, fmt.Errorf("read manifest: %w", err)
	}
	if loaded, err = apps.Load(arg); err != nil || !info.IsDir() {
		return loaded, err
	}
	return loaded, checkFolder(loaded, arg, "")
}

// checkFolder looks for what is served in dir, which no link leads out of.
func checkFolder(loaded apps.Loaded, dir, repository string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("look for what is served: %w", err)
	}
	repository, _, _ = strings.Cut(repository, "#")
	return errors.Join(loaded.CheckFiles(root.FS(), repository), root.Close())
}

// fetchArgument fetches a repository named on the command line.
func fetchArgument(ctx context.Context, arg string, fetch fetchFunc) (dir string, cleanup func(), err error) {
	url, _, _ := strings.Cut(arg, "#")
	if err := apps.CheckRepository(url); err != nil {
		return "", nil, usageError{fmt.Errorf("the repository's address %w", err)}
	}
	return fetch(ctx, arg)
}

// checkResult is what check prints as JSON.
type checkResult struct {
	OK       bool           `json:"ok"`
	File     string         `json:"file,omitempty"`
	Detected string         `json:"detected,omitempty"`
	Summary  string         `json:"summary,omitempty"`
	Manifest *apps.Manifest `json:"manifest,omitempty"`
	Problems apps.Problems  `json:"problems,omitempty"`
}

// reportCheck prints what was found. An error that is no problem of a manifest is only returned.
func reportCheck(w io.Writer, loaded apps.Loaded, err error, asJSON bool) error {
	var problems apps.Problems
	if err != nil && !errors.As(err, &problems) {
		return err
	}
	switch {
	case asJSON:
		result := checkResult{OK: err == nil, Problems: problems}
		if err == nil {
			result.File, result.Detected, result.Summary, result.Manifest = loaded.File, loaded.Detected, loaded.Summary(), &loaded.Manifest
		}
		out := json.NewEncoder(w)
		out.SetIndent("", "  ")
		if err := out.Encode(result); err != nil {
			return fmt.Errorf("print result: %w", err)
		}
	case err != nil:
		fmt.Fprintln(w, problems)
	default:
		if loaded.Detected != "" {
			fmt.Fprintln(w, loaded.Detected)
		}
		fmt.Fprintln(w, "ok:", loaded.Summary())
	}
	if err != nil {
		return reported{problems}
	}
	return nil
}

// reported is problems that were printed already: its own message only counts them.
type reported struct{ problems apps.Problems }

func (r reported) Error() string {
	if len(r.problems) == 1 {
		return "1 problem"
	}
	return fmt.Sprintf("%d problems", len(r.problems))
}

func (r reported) Unwrap() error { return r.problems }
