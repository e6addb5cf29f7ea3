package main

import (
	"fmt"

	"github.com/spf13/cobra"
	"popup/launcher"
)

func newRollbackCommand() *cobra.Command {
	var f localFlags
	var order launcher.RollbackOrder
	cmd := &cobra.Command{
		Use:   "rollback service|data [REV]",
		Short: "serve an older release or revision, and hold it there",
		Long: `rollback serves REV, or the one before what is served now, and holds it: no sync moves
it forward until "popup rollback service|data --release".`,
		Args:      cobra.RangeArgs(1, 2),
		ValidArgs: []string{"service", "data"},
		RunE: func(cmd *cobra.Command, args []string) error {
			order.What = args[0]
			if len(args) > 1 {
				order.To = args[1]
			}
			if err := usable(order); err != nil {
				return usageError{err}
			}
			client, err := launcher.Dial(f.root)
			if err != nil {
				return err
			}
			report, err := client.Rollback(cmd.Context(), order)
			return printReport(cmd, f, report, err)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&order.Release, "release", false, "stop holding, and sync")
	return cmd
}

// usable says what is wrong with an order, whatever app it is given to.
func usable(order launcher.RollbackOrder) error {
	switch {
	case order.What != "service" && order.What != "data":
		return fmt.Errorf("%q cannot be rolled back; say service or data", order.What)
	case order.Release && order.To != "":
		return fmt.Errorf("--release lets %s go forward to the newest; leave out %s", order.What, order.To)
	}
	return nil
}
