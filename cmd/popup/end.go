package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"popup/web/api"
	"popup/web/client"
)

// endFlags say how an event is ended.
type endFlags struct {
	clientFlags
	yes  string
	wait bool
}

func newEndCommand() *cobra.Command {
	var f endFlags
	cmd := &cobra.Command{
		Use:   "end EVENT",
		Short: "end an event now: a final backup of its state, and its instances are gone",
		Long: `end ends an event at once, and for good. Every app is asked for a final backup, which is
read back and verified; only then its machine is taken away. So that nobody ends one by
mistake, you type the event's name; --yes-end NAME does so in scripts.`,
		Args: cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error { return f.end(cmd, c, args[0]) }),
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.yes, "yes-end", "", "`NAME` of the event, instead of typing it")
	cmd.Flags().BoolVar(&f.wait, "wait", false, "wait until its instances are gone, and print the receipt; exit 1 where it fails")
	return cmd
}

func (f endFlags) end(cmd *cobra.Command, c *client.Client, id string) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	e, err := c.Event(ctx, id)
	if err != nil {
		return err
	}
	typed := f.yes
	if typed == "" {
		question := client.Plain(fmt.Sprintf("%s (%s) ends for good. Type %s to end it now: ", oneLine(e.Title), e.State, e.Name))
		if typed, err = (prompt{cmd.InOrStdin(), stderr}).line(ctx, question); err != nil {
			return err
		}
	}
	if typed != e.Name {
		return usageError{errors.New("that is not its name, so it goes on; its name is " + e.Name)}
	}
	operation, err := c.EndEvent(ctx, e.ID, typed)
	if err != nil {
		return err
	}
	if !f.wait {
		return f.print(cmd, operation, func(w io.Writer) {
			fmt.Fprintf(w, "%s is ending; popup events show %s says how far that is\n", e.Name, e.Name)
		})
	}
	_, failed := c.Follow(ctx, operation, func(i api.Instance) { printProgress(stderr, i) })
	receipt, err := c.Receipt(ctx, e.ID)
	if err != nil {
		return errors.Join(failed, err)
	}
	return errors.Join(failed, f.print(cmd, receipt, func(w io.Writer) { printEvent(w, receipt.Event); printReceipt(w, receipt) }))
}

// printProgress says that an instance is otherwise than before.
func printProgress(w io.Writer, i api.Instance) {
	line := i.ID + ": " + i.Health
	if i.Why != "" {
		line += ": " + i.Why
	}
	fmt.Fprintln(w, client.Plain(oneLine(line)))
}
