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
	var until, zone, cap string
	cmd := &cobra.Command{
		Use:   "extend EVENT [--until WHEN] [--cap AMOUNT]",
		Short: "move the end of an event, or what it may cost",
		Args:  cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			var change console.EventChange
			for name, field := range map[string]struct {
				is string
				to **string
			}{"until": {until, &change.End}, "zone": {zone, &change.Zone}, "cap": {cap, &change.Cap}} {
				if cmd.Flags().Changed(name) {
					*field.to = &field.is
				}
			}
			if until == "" && change.Cap == nil {
				return usageError{errors.New("say until when, like --until 2026-05-31 or --until 2026-05-31T18:00, or what it may cost, like --cap 25")}
			}
			was, err := c.Event(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			is, err := c.ChangeEvent(cmd.Context(), was.ID, change)
			if err != nil {
				return err
			}
			return f.print(cmd, is, func(w io.Writer) {
				if until != "" {
					fmt.Fprintf(w, "%s goes on until %s; it was %s\n", is.Name, endOf(is), endOf(was))
				}
				if change.Cap != nil {
					fact(w, "cost", costOf(is))
					fact(w, "cap", is.CapSays)
				}
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&until, "until", "", "a date, a date and time, or a length of time from now like 7d")
	cmd.Flags().StringVar(&cap, "cap", "", "what it may cost, like 25.50; empty: as much as it does")
	cmd.Flags().StringVar(&zone, "zone", "", "of --until, like Europe/Berlin (default the event's)")
	return cmd
}
