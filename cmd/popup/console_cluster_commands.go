package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"popup/web"
	"popup/web/api"
)

func newConsoleClusterTokenCommand(dataDir *string) *cobra.Command {
	var holds time.Duration
	cmd := &cobra.Command{
		Use:   "cluster-token",
		Short: "print a token with which one other console joins this one",
		Long: `cluster-token has the console that runs on --data-dir make a token, which lets one other
console in, once: popup console --cluster-address HOST:PORT --join TOKEN, run on that one's
machine, keeps the store together with this one from then on. Any console of a cluster makes
them.

Whoever has the token may become one of the consoles, and gets all they know: hand it over as
you would a password. --join takes it from a file as well, or from $POPUP_JOIN.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			local, err := runningConsole(*dataDir)
			if err != nil {
				return err
			}
			token, err := local.ClusterToken(cmd.Context(), holds)
			if err != nil {
				return notRunning(*dataDir, err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), token)
			return err
		},
	}
	cmd.Flags().DurationVar(&holds, "for", time.Hour, "how long the token holds")
	return cmd
}

func newConsoleClusterCommand(dataDir *string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "cluster",
		Short: "say which consoles keep the store together, and what may be lost",
		Long: `cluster lists the consoles that keep their store together with the one that runs on
--data-dir: at which address, whether each has a say in what is kept (voter), which one leads,
which answer, and how many entries of the log each lacks on its disk. Below it says what may
be lost, and how many backups of instances this console alone has, where there are any.

To replace one that is lost for good: popup console cluster remove ADDRESS, and then let
another one join, at the same address or not. To change the address of one: let it leave, and
join again at the new one; it fetches all of the store anew, and until it has been in again
for 10 s the others tolerate less.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			local, err := runningConsole(*dataDir)
			if err != nil {
				return err
			}
			s, err := local.Cluster(cmd.Context())
			if err != nil {
				return notRunning(*dataDir, err)
			}
			if asJSON {
				return printJSON(cmd.OutOrStdout(), s)
			}
			return printLines(cmd.OutOrStdout(), func(w io.Writer) { printCluster(w, s) })
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.AddCommand(newConsoleClusterLeaveCommand(dataDir), newConsoleClusterRemoveCommand(dataDir))
	return cmd
}

func newConsoleClusterLeaveCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "leave",
		Short: "take the console that runs here out of its cluster for good",
		Long: `leave has the console that runs on --data-dir hand over what it does, and leave its cluster
for good; then it ends. The others go on. What it kept is set aside, as DATA/cluster.left-…,
and it may join again. Archives in DATA/vault stay, and are copied before to another console
where none has them: that may take a while. It does not leave where nobody takes one of them.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			local, err := runningConsole(*dataDir)
			if err != nil {
				return err
			}
			if err := local.Leave(cmd.Context()); err != nil {
				return notRunning(*dataDir, err)
			}
			_, err = fmt.Fprintln(cmd.OutOrStdout(), "it left, and ends; popup console cluster, run at another one, says what may be lost now")
			return err
		},
	}
}

func newConsoleClusterRemoveCommand(dataDir *string) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ADDRESS",
		Short: "take a console out of the cluster that is lost for good",
		Long: `remove takes a console out of the cluster that does not answer any more, and never will:
where it comes back all the same, it is refused. ADDRESS is what popup console cluster says.
It says what may be lost then.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			local, err := runningConsole(*dataDir)
			if err != nil {
				return err
			}
			s, err := local.RemoveMember(cmd.Context(), args[0])
			if err != nil {
				return notRunning(*dataDir, err)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "removed %s; it %s\n", args[0], s.Says)
			return err
		},
	}
}

// runningConsole reaches the console that runs in a folder.
func runningConsole(dataDir string) (*web.Local, error) {
	at, err := findConsole(dataDir)
	if err != nil {
		return nil, usageError{err}
	}
	return web.DialControl(at.dir), nil
}

// notRunning says in a sentence that no console runs, where an error does.
func notRunning(dataDir string, err error) error {
	if !errors.Is(err, web.ErrNotRunning) {
		return err
	}
	at, err := findConsole(dataDir)
	if err != nil {
		return usageError{err}
	}
	return usageError{fmt.Errorf("no console runs on %s; start it with popup console, or give its folder with --data-dir", at.dir)}
}

func printCluster(w io.Writer, s api.Cluster) {
	for _, m := range s.Members {
		var is []string
		if m.Leads {
			is = append(is, "leads")
		}
		if !m.Answers {
			is = append(is, "does not answer")
		}
		if m.Self {
			is = append(is, "this one")
		}
		behind := "-"
		if m.Behind >= 0 {
			behind = fmt.Sprint(m.Behind)
		}
		fmt.Fprintf(w, "%s\t%s\t%s behind\t%s\t%s\n", m.Address, cmp.Or(m.Role, "-"), behind, cmp.Or(m.Version, "-"), strings.Join(is, ", "))
	}
	fmt.Fprintln(w, s.Says)
	if s.BackupsAlone > 0 {
		fmt.Fprintln(w, "backups that are on this console alone:", s.BackupsAlone)
	}
}
