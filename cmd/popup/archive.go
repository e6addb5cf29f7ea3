package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"popup/internal/tree"
	"popup/web/client"
)

func newArchiveCommand() *cobra.Command {
	var f clientFlags
	var output string
	cmd := &cobra.Command{
		Use:   "archive EVENT",
		Short: "download all that is kept of an event, as one file",
		Long: `archive downloads the backups of an event's instances as one zip, and holds each of them
against the SHA-256 that the console verified. The file appears only when all of it is there.`,
		Args: cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			d, err := c.Download(cmd.Context(), args[0], output)
			if err != nil {
				return err
			}
			return f.print(cmd, d, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s, %s, verified\n", d.File, many(len(d.Archives), "archive"), tree.Bytes(d.Size))
			})
		}),
	}
	f.register(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", "", "`FILE` to write; what is there is replaced (default EVENT.zip, here)")
	return cmd
}

// many is a number of things, in words.
func many(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
