package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"popup/datasync"
	"popup/internal/tree"
	"popup/launcher"
	"popup/launcher/ending"
)

// localFlags find the appliance on this machine.
type localFlags struct {
	root string
	json bool
}

func (f *localFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.root, "root", "/", "the root that popup up was given")
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
}

func newStatusCommand() *cobra.Command {
	var f localFlags
	var metrics bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say what the appliance on this machine serves, and how it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := launcher.Dial(f.root)
			if err != nil {
				return err
			}
			if metrics {
				text, err := client.Metrics(cmd.Context())
				if err != nil {
					return err
				}
				_, err = cmd.OutOrStdout().Write(text)
				return err
			}
			s, err := client.Status(cmd.Context())
			if err != nil {
				return err
			}
			if f.json {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
	f.register(cmd)
	cmd.Flags().BoolVar(&metrics, "metrics", false, "print OpenMetrics")
	cmd.MarkFlagsMutuallyExclusive("json", "metrics")
	return cmd
}

func printJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func printStatus(w io.Writer, s launcher.Status) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "app\t%s (%s)\n", s.App, s.Name)
	fmt.Fprintf(t, "instance\t%s\n", s.Instance)
	fmt.Fprintf(t, "address\t%s\n", s.URL)
	fmt.Fprintf(t, "health\t%s\n", health(s))
	if s.Serving != nil {
		fmt.Fprintf(t, "release\t%s\n", s.Serving.Release)
		if s.Serving.Revision != "" {
			fmt.Fprintf(t, "data\t%s\n", s.Serving.Revision)
		}
		fmt.Fprintf(t, "since\t%s\n", s.Serving.Since.Format(time.RFC3339))
	}
	printStream(t, "service", s.Service)
	printStream(t, "data", s.Data)
	printEnd(t, s.End)
	printConsole(t, s.Console)
	fmt.Fprintf(t, "requests\t%d, %d of them answered with an error; the app was restarted %d times\n", s.Requests, s.Errors, s.Restarts)
	for _, p := range s.Phases {
		fmt.Fprintf(t, "phase\t%s: %s\n", p.Name, phaseLine(p))
	}
	for _, n := range s.Notes {
		fmt.Fprintf(t, "note\t%s\n", n)
	}
	return t.Flush()
}

func health(s launcher.Status) string {
	switch {
	case s.End != nil && s.End.Step == ending.Over.String():
		return "over"
	case s.Healthy:
		return "healthy"
	case s.Live:
		return "unhealthy: " + s.Why
	default:
		return "not live yet: " + s.Why
	}
}

func phaseLine(p launcher.Phase) string {
	line := string(p.State)
	if p.Detail != "" {
		line += ": " + p.Detail
	} else if p.Cause != "" {
		line += ": " + p.Cause
	}
	if p.NextTry != nil {
		line += fmt.Sprintf(" (attempt %d; next try %s)", p.Attempt, p.NextTry.Format(time.TimeOnly))
	}
	return line
}

// printStream tells what keeps a stream from being served as it is upstream, and
// what asking costs.
func printStream(w io.Writer, what string, s *datasync.Status) {
	if s == nil {
		return
	}
	if s.Held != "" {
		fmt.Fprintf(w, "%s held\t%s; popup rollback %s --release lets it go forward again\n", what, s.Held, what)
	} else if s.Wanted != "" && s.Wanted != s.Serving {
		fmt.Fprintf(w, "%s wanted\t%s\n", what, s.Wanted)
	}
	for _, r := range s.Refused {
		fmt.Fprintf(w, "%s refused\t%s at %s: %s\n", what, r.Revision, r.At.Format(time.RFC3339), oneLine(r.Why))
	}
	if s.LastError != "" {
		fmt.Fprintf(w, "%s sync\t%s: %s\n", what, s.ErrorClass, oneLine(s.LastError))
	}
	if s.RelayError != "" {
		fmt.Fprintf(w, "%s relay\t%s\n", what, oneLine(s.RelayError))
	}
	line := "never by itself"
	if !s.NextTry.IsZero() {
		line = "next " + s.NextTry.UTC().Format(time.RFC3339)
	}
	if !s.Confirmed.IsZero() {
		line += fmt.Sprintf("; found to be the newest %s ago", time.Duration(s.Age)*time.Second)
	}
	fmt.Fprintf(w, "%s polls\t%s; %s\n", what, line, cost(s.Requests, s.BytesIn, s.BytesOut))
}

// cost says what asking a source came to.
func cost(requests, in, out int64) string {
	word := "requests"
	if requests == 1 {
		word = "request"
	}
	return fmt.Sprintf("%d %s, %s in, %s out", requests, word, tree.Bytes(in), tree.Bytes(out))
}

// oneLine keeps the output of a command within its line of the table.
func oneLine(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(r rune) bool { return r == '\n' }), " / ")
}

// printConsole tells how the instance and its console get on.
func printConsole(w io.Writer, c *launcher.ConsoleStatus) {
	if c == nil {
		return
	}
	line := c.URL + "; not enrolled yet"
	if !c.Enrolled.IsZero() {
		line = c.URL + "; enrolled " + c.Enrolled.Format(time.RFC3339) + "; no report yet"
	}
	if !c.LastReport.IsZero() {
		line = c.URL + "; enrolled; last report " + c.LastReport.Format(time.RFC3339)
	}
	if c.Error != "" {
		line += "; " + oneLine(c.Error)
	}
	if !c.NextReport.IsZero() {
		line += "; next " + c.NextReport.Format(time.RFC3339)
	}
	fmt.Fprintf(w, "console\t%s\n", line)
	if c.Unmet != "" {
		fmt.Fprintf(w, "console wants\tgeneration %d, which does not hold: %s\n", c.Generation, oneLine(c.Unmet))
	}
}

func printEnd(w io.Writer, end *launcher.EndStatus) {
	if end == nil {
		return
	}
	line := fmt.Sprintf("%s (%s)", end.At.Format(time.RFC3339), end.Step)
	for _, more := range []string{end.Reason, end.Detail} {
		if more != "" {
			line += "; " + more
		}
	}
	fmt.Fprintf(w, "end\t%s\n", line)
	if end.Archive != "" {
		fmt.Fprintf(w, "archive\t%s\n", end.Archive)
	}
}
