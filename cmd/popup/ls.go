package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"popup/web/api"
	"popup/web/client"
)

func newLsCommand() *cobra.Command {
	var f clientFlags
	var q client.InstanceQuery
	cmd := &cobra.Command{
		Use:   "ls [TEXT...]",
		Short: "list the instances of a console, page by page",
		Long: `ls lists instances: what each is, how it is, and where. TEXT is looked for in an
instance's id, title, app, event, address and commits.`,
		Args: cobra.ArbitraryArgs,
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			q.Text = strings.Join(args, " ")
			page, err := c.Instances(cmd.Context(), q)
			if err != nil {
				return err
			}
			if err := f.print(cmd, page, func(w io.Writer) { printInstances(w, page.Instances) }); err != nil || f.json {
				return err
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d of %d\n", len(page.Instances), page.Total)
			if page.Next != "" {
				fmt.Fprintln(cmd.ErrOrStderr(), "the next of them: the same, with --page", page.Next)
			}
			return nil
		}),
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&q.Event, "event", "", "of this event alone, by its name or id")
	flags.StringVar(&q.App, "app", "", "of this app alone")
	flags.StringVar(&q.Cloud, "cloud", "", "of this cloud alone")
	flags.StringVar(&q.Health, "health", "", "waiting, starting, live, unhealthy, silent, ending or over")
	flags.StringVar(&q.Sort, "sort", "", "id, event, app, health, heard, data or requests; a - before it turns it round (default id)")
	flags.StringVar(&q.Page, "page", "", "`TOKEN` of the page before")
	flags.IntVar(&q.Size, "page-size", 0, "how many, at most 500 (default 50)")
	return cmd
}

func printInstances(w io.Writer, all []api.Instance) {
	for _, i := range all {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", i.ID, i.Health, i.Title, i.Address, oneLine(i.Why))
	}
}
