package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"popup/web/client"
)

func newReplaceCommand() *cobra.Command {
	var f clientFlags
	var snapshot bool
	cmd := &cobra.Command{
		Use:   "replace INSTANCE",
		Short: "launch another machine in the place of one, with what is on its volume",
		Long: `replace has another machine take the place of one that is not well, and takes that one away.
What visitors wrote goes along where it is on a volume; where it is on the machine's own disk
the console refuses, and says what else there is.`,
		Args: cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			replaced, err := c.Replace(cmd.Context(), args[0], snapshot)
			if err != nil {
				return err
			}
			return f.print(cmd, replaced, func(w io.Writer) { fmt.Fprintf(w, "%s takes the place of %s\n", replaced.Instance, args[0]) })
		}),
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&snapshot, "snapshot", false, "keep the disks of the old one, so that the cause can be found")
	return cmd
}
