package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"popup/web/api"
	"popup/web/client"
)

func newAppsCommand() *cobra.Command {
	var f clientFlags
	cmd := &cobra.Command{
		Use:   "apps [TEXT...]",
		Short: "list the apps that a console offers",
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			all, err := c.Apps(cmd.Context(), strings.Join(args, " "))
			if err != nil {
				return err
			}
			return f.print(cmd, all, func(w io.Writer) { printApps(w, all) })
		}),
		Args: cobra.ArbitraryArgs,
	}
	f.register(cmd)
	show := &cobra.Command{
		Use:   "show APP",
		Short: "say what an app is, where its code and data are, and what may be set",
		Args:  cobra.ExactArgs(1),
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			app, err := c.App(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			return f.print(cmd, app, func(w io.Writer) { printApp(w, app) })
		}),
	}
	f.register(show)
	cmd.AddCommand(show)
	return cmd
}

func printApps(w io.Writer, all api.Catalogue) {
	for _, app := range all.Apps {
		fmt.Fprintf(w, "%s\t%s\t%s\n", app.ID, app.Name, oneLine(app.Description))
	}
	if len(all.Apps) == 0 {
		fmt.Fprintln(w, "there is no such app; popup apps lists them all")
	}
	for _, flaw := range all.Problems {
		fmt.Fprintf(w, "(not shown as it is now: %s: %s)\n", flaw.App, oneLine(flaw.Message))
	}
}

func printApp(w io.Writer, app api.App) {
	fact(w, "app", fmt.Sprintf("%s (%s)", app.ID, app.Name))
	fact(w, "about", app.Description)
	fact(w, "website", app.Website)
	fact(w, "licence", app.License)
	fact(w, "code", address(app.Code))
	fact(w, "data", address(app.Data))
	if app.State {
		fact(w, "state", "it keeps what its visitors write; its archive is taken at the end")
	}
	if app.Manifest == nil {
		return
	}
	for _, name := range slices.Sorted(maps.Keys(app.Manifest.Env)) {
		setting := app.Manifest.Env[name]
		text := cmp.Or(setting.Description, setting.Type, "text")
		switch {
		case setting.Required:
			text += " (must be given)"
		case setting.Value != "":
			text += " (default " + setting.Value + ")"
		}
		fact(w, "--set "+name, text)
	}
}

// address is where code or data come from, as it is given to --service.
func address(from *api.Address) string {
	if from == nil {
		return ""
	}
	return strings.TrimSuffix(from.URL+"#"+from.Ref, "#")
}
