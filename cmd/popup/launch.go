package main

import (
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"popup/apps"
	"popup/console"
	"popup/web/api"
	"popup/web/client"
)

// launchFlags say what is launched, and for whom.
type launchFlags struct {
	clientFlags
	event         console.EventRequest
	cloud         string
	repositories  []string
	set           []string
	count         int
	restore       string
	volume        bool
	dryRun, await bool
	yes           bool
}

func newLaunchCommand() *cobra.Command {
	var f launchFlags
	cmd := &cobra.Command{
		Use:   "launch APP[=TITLE]...",
		Short: "launch apps for an event, new or not",
		Long: `launch has a console launch apps within an event: the one that --event names, or, where
there is none of that name, a new one. --dry-run says what would be launched, and does
nothing. What costs money is launched after its price was shown, and you typed yes, or gave
--yes.

With several apps a setting says whose it is: --set notice:TITLE='Our fair'.`,
		RunE: asks(func(cmd *cobra.Command, c *client.Client, args []string) error {
			request, err := f.request(args)
			if err != nil {
				return usageError{err}
			}
			if request.Event, err = c.Into(cmd.Context(), request.Event); err != nil {
				return err
			}
			if f.dryRun {
				preview, err := c.Preview(cmd.Context(), request)
				if err != nil {
					return err
				}
				return f.print(cmd, preview, func(w io.Writer) { printPreview(w, preview) })
			}
			return f.launch(cmd, c, request)
		}),
		Args: cobra.ArbitraryArgs,
	}
	f.register(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.event.Name, "event", "", "its name: lower-case letters, digits and hyphens (default made of --title)")
	flags.StringVar(&f.event.Title, "title", "", "what a new event is called (default the first app's name)")
	flags.StringVar(&f.event.End, "until", "", "a date, a date and time, or a length of time like 7d (default what the apps say)")
	flags.StringVar(&f.event.Zone, "zone", "", "of the dates, like Europe/Berlin (default UTC)")
	flags.StringVar(&f.event.Start, "start", "", "a date, or a date and time, at which it is launched (default now)")
	flags.StringVar(&f.event.Freeze, "freeze", "", "when writes are refused from (default ten minutes before the end)")
	flags.StringVar(&f.event.Cap, "cap", "", "what a new event may cost, like 25.50: before that is reached it freezes and ends (default no cap)")
	flags.StringVar(&f.cloud, "cloud", "", "where it runs (default the console's own choice)")
	flags.StringArrayVar(&f.repositories, "repository", nil, "`URL[#REF]` with an app.yaml, instead of an app of the catalogue; may be given again")
	flags.StringArrayVar(&f.set, "set", nil, "[APP:]KEY=VALUE, a setting; may be given again")
	flags.IntVar(&f.count, "count", 0, "how many instances of each app (default 1)")
	flags.StringVar(&f.restore, "restore", "", "`INSTANCE/NAME` of the backup that the app's state begins with, of an event's archives")
	flags.BoolVar(&f.volume, "volume", false, "keep what visitors write on a disk of its own, which outlives the machine")
	flags.BoolVar(&f.dryRun, "dry-run", false, "say what would be launched, and launch nothing")
	flags.BoolVar(&f.yes, "yes", false, "agree to what it costs")
	flags.BoolVar(&f.await, "wait", false, "wait until all is live; exit 1 where something fails")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "wait")
	return cmd
}

// request is what the flags and arguments ask for.
func (f launchFlags) request(args []string) (console.LaunchRequest, error) {
	r := console.LaunchRequest{Event: f.event, Cloud: f.cloud}
	for _, arg := range args {
		id, title, _ := strings.Cut(arg, "=")
		r.Apps = append(r.Apps, console.AppRequest{App: apps.AppID(id), Title: title, Count: f.count})
	}
	for _, repository := range f.repositories {
		r.Apps = append(r.Apps, console.AppRequest{Repository: repository, Count: f.count})
	}
	if len(r.Apps) == 0 {
		return r, errors.New("say what to launch; popup apps lists what there is")
	}
	if f.restore != "" && len(r.Apps) > 1 {
		return r, errors.New("--restore is for one app; launch the others after it, into the same --event")
	}
	r.Apps[0].Restore = f.restore
	if f.volume && len(r.Apps) > 1 {
		return r, errors.New("--volume is for one app; launch the others after it, into the same --event")
	}
	r.Apps[0].Volume = f.volume
	for _, pair := range f.set {
		if err := set(r.Apps, pair); err != nil {
			return r, err
		}
	}
	return r, nil
}

// set gives a setting, [APP:]KEY=VALUE, to the apps that it is of. Its errors do not
// repeat VALUE, which may be a secret.
func set(all []console.AppRequest, pair string) error {
	name, value, ok := strings.Cut(pair, "=")
	if !ok || name == "" {
		return fmt.Errorf("--set %s is not KEY=VALUE", name)
	}
	of, key := "", name
	if colon := strings.LastIndex(name, ":"); colon >= 0 {
		of, key = name[:colon], name[colon+1:]
	} else if len(all) > 1 {
		return fmt.Errorf("--set %s: say which app's it is, like %s:%s=VALUE", name, cmp.Or(string(all[0].App), all[0].Repository), name)
	}
	found := false
	for i := range all {
		if app := &all[i]; of == "" || of == string(app.App) || of == app.Repository {
			found = true
			if app.Settings == nil {
				app.Settings = map[string]string{}
			}
			app.Settings[key] = value
		}
	}
	if !found {
		return fmt.Errorf("--set %s: %s is not launched; name one of what is", name, of)
	}
	return nil
}

// launch launches, and says what came of it.
func (f launchFlags) launch(cmd *cobra.Command, c *client.Client, r console.LaunchRequest) error {
	ctx, stderr := cmd.Context(), cmd.ErrOrStderr()
	if err := f.agree(ctx, c, r, prompt{cmd.InOrStdin(), stderr}); err != nil {
		return err
	}
	operation, err := c.Launch(ctx, r, rand.Text())
	if err != nil {
		return err
	}
	e, err := c.Event(ctx, operation.Event)
	if err != nil {
		return err
	}
	if !f.await {
		return f.print(cmd, operation, func(w io.Writer) {
			fmt.Fprintf(w, "launching %s for %s, until %s\n%s\n", many(len(operation.Instances), "instance"), e.Name, endOf(e), e.Page)
		})
	}
	live := map[string]api.Instance{}
	operation, failed := c.Follow(ctx, operation, func(i api.Instance) {
		printProgress(stderr, i)
		live[i.ID] = i
	})
	return errors.Join(failed, f.print(cmd, operation, func(w io.Writer) {
		printEvent(w, e)
		for _, id := range operation.Instances {
			printInstances(w, []api.Instance{live[id]})
		}
	}))
}

func printPreview(w io.Writer, p api.Preview) {
	made := "it is there"
	if p.New {
		made = "new"
	}
	fact(w, "event", fmt.Sprintf("%s (%s), %s", p.Event.Name, p.Event.Title, made))
	fact(w, "starts", p.Event.Start)
	fact(w, "until", endOf(p.Event))
	fact(w, "cloud", p.Cloud)
	for _, app := range p.Apps {
		d := app.Deployment
		fact(w, "app", fmt.Sprintf("%s: %s", d.Title, many(d.Count, "instance")))
		from := d.Repository
		if from == "" {
			from = d.App
		}
		fact(w, "from", strings.TrimSuffix(from+" at "+d.Commit, " at "))
		for _, name := range slices.Sorted(maps.Keys(d.Settings)) {
			fact(w, name, d.Settings[name])
		}
		for _, name := range d.Secrets {
			fact(w, name, "(given, and not shown)")
		}
	}
	printQuote(w, p.Quote)
	for _, note := range p.Notes {
		fact(w, "note", note)
	}
	fmt.Fprintf(w, "Nothing was launched. Without --dry-run: %s\n", p.Button)
}
