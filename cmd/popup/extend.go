package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"popup/console"
	"popup/web/client"
)

func newExtendCommand() *cobra.Command {
	var f clientFlags
	var until, zone string
	cmd := &cobra.Command{
		Use:   "extend EVENT --until WHEN",
		Short: "move the end of an event",
		Args:  cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			if until == "" {
				return usageError{errors.New("say until when, like --until 2026-05-31 or --until 2026-05-31T18:00")}
			}
			change := console.EventChange{End: &until}
			if zone != "" {
				change.Zone = &zone
			}
			was, err := c.Event(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			is, err := c.ChangeEvent(cmd.Context(), was.ID, change)
			if err != nil {
				return err
			}
			return f.print(cmd, is, func(w io.Writer) { fmt.Fprintf(w, "%s goes on until %s; it was %s\n", is.Name, endOf(is), endOf(was)) })
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&until, "until", "", "a date, a date and time, or a length of time from now like 7d")
	cmd.Flags().StringVar(&zone, "zone", "", "of --until, like Europe/Berlin (default the event's)")
	return cmd
}
