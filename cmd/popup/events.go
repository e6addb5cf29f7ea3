package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"popup/web/api"
	"popup/web/client"
)

func newEventsCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "events",
		Short: "list the events of a console, the one that ends next first",
		Args:  cobra.NoArgs,
		RunE: asks(func(cmd *cobra.Command, c *client.Client, _ []string) error {
			all, err := c.Events(cmd.Context())
			if err != nil {
				return err
			}
			return f.print(cmd, all, func(w io.Writer) { printEvents(w, all.Events) })
		}),
	}
	f.register(cmd)
	show := &cobra.Command{
		Use:   "show EVENT",
		Short: "say how far an event is, and what runs for it or became of it",
		Args:  cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			e, err := c.Event(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), e)
			}
			receipt, err := c.Receipt(cmd.Context(), e.ID)
			if err != nil {
				return err
			}
			page, err := c.Instances(cmd.Context(), client.InstanceQuery{Event: e.ID})
			if err != nil {
				return err
			}
			return printLines(cmd.OutOrStdout(), func(w io.Writer) {
				printEvent(w, e)
				printInstances(w, slices.DeleteFunc(page.Instances, func(i api.Instance) bool { return !i.Gone.IsZero() }))
				printReceipt(w, receipt)
			})
		}),
	}
	f.register(show)
	dismiss := &cobra.Command{
		Use:   "dismiss EVENT THING",
		Short: "say that something that was left behind, by its cloud's id, may stay",
		Args:  cobra.ExactArgs(2),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			receipt, err := c.DismissThing(cmd.Context(), args[0], args[1])
			if err != nil {
				return err
			}
			return f.print(cmd, receipt, func(w io.Writer) { printReceipt(w, receipt) })
		}),
	}
	f.register(dismiss)
	cmd.AddCommand(show, dismiss)
	return cmd
}

func printEvents(w io.Writer, all []api.Event) {
	for _, e := range all {
		fmt.Fprintf(w, "%s\t%s\tuntil %s\t%s\t%s\n", e.Name, e.State, endOf(e), e.Title, costOf(e))
	}
	if len(all) == 0 {
		fmt.Fprintln(w, "there are no events yet; popup launch makes one")
	}
}

// endOf is when an event ends: a date, and where.
func endOf(e api.Event) string { return e.End + " " + e.Zone }

func printEvent(w io.Writer, e api.Event) {
	fact(w, "event", fmt.Sprintf("%s (%s)", e.Name, e.Title))
	fact(w, "state", e.State)
	fact(w, "stuck", e.Stuck)
	fact(w, "starts", e.Start)
	fact(w, "freezes", e.Freeze)
	fact(w, "until", endOf(e))
	fact(w, "cost", costOf(e))
	fact(w, "cap", e.CapSays)
	fact(w, "page", e.Page)
}

// printReceipt says what became of the instances that are gone.
func printReceipt(w io.Writer, r api.Receipt) {
	for _, line := range r.Instances {
		if !line.Gone {
			continue
		}
		fmt.Fprintf(w, "%s\tgone\t%s\t%s\n", line.Instance, line.Title, oneLine(line.State))
	}
	for _, t := range r.Things {
		became := "there"
		switch {
		case t.Gone:
			became = "gone"
		case t.Left:
			became = "left behind"
		}
		fmt.Fprintf(w, "%s %s\t%s\t%s\t%s\n", t.Kind, t.ID, became, t.Cloud, oneLine(t.Why))
	}
	fact(w, "unknown", oneLine(r.Unknown))
}
