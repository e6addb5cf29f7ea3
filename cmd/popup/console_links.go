package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	"popup/web"
)

func newConsoleRecoverCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "recover [NAME]",
		Short: "print a link with which an owner sets a new password",
		Long: `recover has the console that runs on --data-dir make a link that lets an owner set a new
password, once, within an hour. Whoever may enter that folder can do so. NAME is needed
where there are several owners.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			name := ""
			if len(args) > 0 {
				name = args[0]
			}
			return printLink(cmd, *dataDir, "recover:", func(ctx context.Context, l *web.Local) (string, error) { return l.RecoveryLink(ctx, name) })
		},
	}
}

func newConsoleClaimCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "claim",
		Short: "print a new link that makes whoever opens it the console's owner",
		Long: `claim has the console that runs on --data-dir make a new claim link, in the place of the one
that it printed when it was started. Once somebody owns the console there is none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return printLink(cmd, *dataDir, "claim:", func(ctx context.Context, l *web.Local) (string, error) { return l.ClaimLink(ctx) })
		},
	}
}

// printLink prints a link that the running console makes.
func printLink(cmd *cobra.Command, dataDir, word string, ask func(context.Context, *web.Local) (string, error)) error {
	local, err := runningConsole(dataDir)
	if err != nil {
		return err
	}
	link, err := ask(cmd.Context(), local)
	if err != nil {
		return notRunning(dataDir, err)
	}
	_, err = fmt.Fprintln(cmd.OutOrStdout(), word, link)
	return err
}
