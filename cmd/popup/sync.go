package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"popup/launcher"
)

func newSyncCommand() *cobra.Command {
	var f localFlags
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "look for new data and a new release now; exit 0 when what is served is what is wanted",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := launcher.Dial(f.root)
			if err != nil {
				return err
			}
			report, err := client.Sync(cmd.Context())
			return printReport(cmd, f, report, err)
		},
	}
	f.register(cmd)
	return cmd
}

// printReport prints what a pass came to, also when it came to an error.
func printReport(cmd *cobra.Command, f localFlags, r launcher.SyncReport, err error) error {
	if f.json {
		if printErr := printJSON(cmd.OutOrStdout(), r); printErr != nil {
			return printErr
		}
		return err
	}
	if err != nil {
		return err
	}
	word := "unchanged"
	if r.Changed {
		word = "changed"
	}
	line := fmt.Sprintf("%s: serving release %s", word, r.Served.Release)
	if r.Served.Revision != "" {
		line += fmt.Sprintf(", data %s", r.Served.Revision)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), line+" ("+r.Took+")")
	return err
}
