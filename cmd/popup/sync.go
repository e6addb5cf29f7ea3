package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"popup/launcher"
)

func newSyncCommand() *cobra.Command {
	var f localFlags
	var retry bool
	cmd := &cobra.Command{
		Use:   "sync",
		Short: "look for new data and a new release now; exit 0 when what is served is what is wanted",
		Long: `sync looks for new data and a new release now, and serves them. What was refused is
not tried again until upstream moves on; --retry tries it all the same, for when
what it lacked is there now.

--json prints what the pass came to (served, wanted, changed) and what it cost:
requests, bytes_in and bytes_out of the sources, and took, a length of time like 79ms.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := launcher.Dial(f.root)
			if err != nil {
				return err
			}
			sync := client.Sync
			if retry {
				sync = client.Retry
			}
			report, err := sync(cmd.Context())
			return printReport(cmd, f, report, err)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&retry, "retry", false, "try again what was refused before")
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
	line += fmt.Sprintf(" (%s; %s)", r.Took, cost(r.Requests, r.BytesIn, r.BytesOut))
	_, err = fmt.Fprintln(cmd.OutOrStdout(), line)
	return err
}
