package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"popup/apps"
)

// The exit codes, as the README promises them.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong flags, or a configuration that cannot be used
)

// version is set by the linker in releases.
var version = "dev"

// A usageError is a mistake in what was asked for, not in carrying it out.
type usageError struct{ err error }

func (e usageError) Error() string { return e.err.Error() }
func (e usageError) Unwrap() error { return e.err }

// run is the whole program: it parses args, does what they say, and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintln(stderr, "popup:", err)
	var usage usageError
	var problems apps.Problems
	if errors.As(err, &usage) || errors.As(err, &problems) {
		return exitUsage
	}
	return exitFailed
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "popup",
		Short:         "turn a bare machine into a live copy of an open-source web service",
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          knownVerb,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },

		SuggestionsMinimumDistance: 2,
	}
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; %s --help lists what it takes", err, cmd.CommandPath())}
	})
	root.AddCommand(
		newUpCommand(), newStatusCommand(), newSyncCommand(), newRollbackCommand(), newStateCommand(), newTryCommand(),
		newInitCommand(fetchRepository), newCheckCommand(fetchRepository),
		newUserdataCommand(), newSeedCommand(), newPublishCommand(), newConsoleCommand(),
		newLoginCommand(), newAppsCommand(), newEventsCommand(), newLaunchCommand(), newLsCommand(), newLogsCommand(),
		newExtendCommand(), newReplaceCommand(), newEndCommand(), newArchiveCommand(), newBakeCommand(),
	)
	checkArgs(root)
	return root
}

// knownVerb refuses what is no verb, and names those it may have been meant to be.
func knownVerb(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := cmd.CommandPath() + " --help lists all verbs"
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, ", or ") + "? " + hint
	}
	return usageError{fmt.Errorf("there is no verb %s; %s", strconv.Quote(args[0]), hint)}
}

// checkArgs makes a wrong number of arguments a usage error, of every verb below cmd.
func checkArgs(cmd *cobra.Command) {
	for _, verb := range cmd.Commands() {
		verb.Args = usageArgs(verb.Args)
		checkArgs(verb)
	}
}

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usageError{fmt.Errorf("%w; %s --help shows how it is called", err, cmd.CommandPath())}
		}
		return nil
	}
}
