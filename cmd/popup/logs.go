package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"popup/web/client"
)

func newLogsCommand() *cobra.Command {
	var longest time.Duration
	cmd := &cobra.Command{
		Use:   "logs INSTANCE",
		Short: "have an instance send its log, and print it",
		Long: `logs asks an instance for its newest log, which it sends with its next report, and waits
for it. On a terminal, what is no text in it is replaced.`,
		Args: cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			fmt.Fprintln(cmd.ErrOrStderr(), "waiting for the next report of", args[0])
			text, err := c.FetchLog(cmd.Context(), args[0], longest)
			if err != nil {
				return err
			}
			if isTerminal(cmd.OutOrStdout()) {
				text = []byte(client.Plain(string(text)))
			}
			_, err = cmd.OutOrStdout().Write(text)
			return err
		}),
	}
	cmd.Flags().DurationVar(&longest, "timeout", 3*time.Minute, "how long to wait for it")
	return cmd
}
