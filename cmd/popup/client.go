package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"popup/web/client"
)

// clientFlags are of the verbs that ask a console.
type clientFlags struct{ json bool }

func (f *clientFlags) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON, as the console's API has it")
}

// asks makes a verb that asks the console that somebody is signed in to. What the
// console does not take is a mistake in what was asked for.
func asks(fn func(cmd *cobra.Command, c *client.Client, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		login, err := client.FindLogin(os.Getenv)
		if err != nil {
			return usageError{err}
		}
		c, err := client.New(login)
		if err != nil {
			return usageError{err}
		}
		defer c.Close()
		return refused(fn(cmd, c, args))
	}
}

// refused makes a usage error of what a console does not take.
func refused(err error) error {
	var no *client.Error
	if errors.As(err, &no) && no.Status == http.StatusUnprocessableEntity {
		return usageError{err}
	}
	return err
}

// print writes what a console said: as JSON, or what lines writes of it.
func (f clientFlags) print(cmd *cobra.Command, answer any, lines func(io.Writer)) error {
	if f.json {
		return printJSON(cmd.OutOrStdout(), answer)
	}
	return printLines(cmd.OutOrStdout(), lines)
}

// printLines writes a table, whose columns tabs divide. What others wrote into it is
// harmless.
func printLines(w io.Writer, lines func(io.Writer)) error {
	var text bytes.Buffer
	t := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	lines(t)
	if err := t.Flush(); err != nil {
		return err
	}
	for line := range strings.Lines(text.String()) {
		if _, err := fmt.Fprintln(w, client.Plain(strings.TrimRight(line, " \n"))); err != nil {
			return err
		}
	}
	return nil
}

// fact writes a line of facts; none where there is nothing to say.
func fact(w io.Writer, name, text string) {
	if text != "" {
		fmt.Fprintf(w, "%s\t%s\n", name, oneLine(text))
	}
}

// within waits for what cannot be told to stop, as long as ctx lasts.
func within[T any](ctx context.Context, fn func() (T, error)) (v T, err error) {
	done := make(chan struct{})
	var got T
	var failed error
	go func() {
		defer close(done)
		got, failed = fn()
	}()
	select {
	case <-done:
		return got, failed
	case <-ctx.Done(): // a read of a terminal goes on until the process ends
		return v, ctx.Err()
	}
}
