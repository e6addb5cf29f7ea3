package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"popup/datasync"
	"popup/launcher"
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
	cmd := &cobra.Command{
		Use:   "status",
		Short: "say what the appliance on this machine serves, and how it is",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			client, err := launcher.Dial(f.root)
			if err != nil {
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
	if s.End != nil {
		fmt.Fprintf(t, "end\t%s (%s)\n", s.End.At.Format(time.RFC3339), s.End.Step)
	}
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

func printStream(w io.Writer, what string, s *datasync.Status) {
	if s == nil {
		return
	}
	if s.LastError != "" {
		fmt.Fprintf(w, "%s sync\t%s: %s\n", what, s.ErrorClass, s.LastError)
	}
}
