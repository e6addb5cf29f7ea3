package web

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
	"popup/templates"
)

// An instancePageData is the page of an instance.
type instancePageData struct {
	Path, Title, Why, Address string
	EventPath, EventTitle     string
	Chip                      chip
	Live                      bool
	Notes                     []string
	Phases                    []phaseLine
	Service, Content          *streamView
	Traffic                   *traffic
	Commands                  []commandButton
	Hand                      console.Handwork
	Orders                    []orderLine
	Machine                   []fact
	ConfigPath                string
	Confirmations             []confirmation
	Problems                  []fieldProblem
}

// A streamView is how its code or its data are doing.
type streamView struct {
	Name, Freshness, Error string
	Chip                   chip
	Source                 sourceLink
	Served                 *servedView
	Wanted, Held           string // empty: what is served
	Next                   *moment
}

// A servedView is what is served.
type servedView struct {
	URL, Text string
	Since     *moment
}

// A commandButton asks something of an instance.
type commandButton struct {
	ID, Text, Means string
	Hidden          []hidden
}

// A hidden is a field that is sent and not shown.
type hidden struct{ Name, Value string }

// An orderLine is something that was asked of it.
type orderLine struct {
	Chip                   chip
	Text, By, Result, Logs string
	At                     *moment
}

func (s *Server) pageInstance(c *gin.Context) { s.showInstance(c, nil, 0) }

func (s *Server) showInstance(c *gin.Context, errors []console.FieldError, status int) {
	actor := s.actor(c)
	i, err := s.console.Instance(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	page := instanceOf(i, s.console.Now())
	page.Problems = explain(errors, "")
	if helps(actor) && !i.State.Over() && i.State != console.InstanceEnding {
		page.Commands = commandsOf(i)
	}
	page.Hand = s.handOf(c, i)
	page.ConfigPath = "/api/v1" + page.Path + "/config"
	s.show(c, view{name: templates.ConsoleInstance, status: status, title: i.Title, section: sectionInstances, stream: following(i.Event), data: page})
}

// helps says whether a page offers commands; the console decides it when one is given.
func helps(a console.Actor) bool { return !a.Reads && a.Role != console.RoleViewer }

func instanceOf(i console.InstanceView, now time.Time) instancePageData {
	page := instancePageData{Path: instancePath(i.ID), Title: i.Title, Chip: healthChips[i.Health], EventPath: eventPath(i.EventName), EventTitle: i.EventTitle,
		Live: i.Health == console.HealthLive, Traffic: trafficOf(i.History)}
	if i.Number > 1 {
		page.Title = fmt.Sprintf("%s %d", i.Title, i.Number)
	}
	if i.Why != "" {
		page.Why = spoken(i.Why)
	}
	if i.Failure != "" && i.Why != i.Failure {
		page.Notes = append(page.Notes, spoken(i.Failure))
	}
	if page.Live || i.Health == console.HealthUnhealthy {
		page.Address = webAddress(i.Address)
	}
	if r := i.LastReport; r != nil {
		page.Phases = phaseLines(r.Phases, now)
		for _, note := range r.Notes {
			page.Notes = append(page.Notes, spoken(note))
		}
		if r.Unmet != "" {
			page.Notes = append(page.Notes, "What is wanted of it does not hold: "+spoken(r.Unmet))
		}
		page.Service = streamOf("Code", r.Service, servingRelease(r), now)
		page.Content = streamOf("Data", r.Data, servingRevision(r), now)
	}
	page.Machine = machineFacts(i, now)
	for _, o := range slices.Backward(i.Commands) {
		page.Orders = append(page.Orders, orderOf(o, page.Path, now))
	}
	return page
}

func servingRelease(r *wire.Report) string {
	if r.Serving == nil {
		return ""
	}
	return r.Serving.Release
}

func servingRevision(r *wire.Report) string {
	if r.Serving == nil {
		return ""
	}
	return r.Serving.Revision
}

// streamOf says how fresh what is served is, in words.
func streamOf(name string, s *wire.Stream, served string, now time.Time) *streamView {
	if s == nil {
		return nil
	}
	v := &streamView{Name: name, Source: linkSource(wire.Source{URL: s.Source}), Held: shortCommit(s.Held)}
	if s.NextTry.After(now) {
		v.Next = at(s.NextTry, now, time.UTC)
	}
	if served != "" {
		v.Served = &servedView{URL: commitAddress(s.Source, served), Text: shortCommit(served)}
	}
	if s.Wanted != "" && s.Wanted != served {
		v.Wanted = shortCommit(s.Wanted)
	}
	switch {
	case s.Held != "":
		v.Chip, v.Freshness = chip{"held", "cold", "pause"}, "Stays where it is until it is let go."
	case !s.StaleAt.IsZero() && now.After(s.StaleAt):
		v.Chip, v.Freshness = chip{"stale", "bad", "warning"}, "Nobody knows whether it is still the newest."
	case s.Error != "":
		v.Chip, v.Freshness = chip{"not renewed", "busy", "half"}, "What was there before goes on."
	case v.Wanted != "":
		v.Chip, v.Freshness = chip{"coming", "busy", "half"}, "Something newer is being brought in."
	default:
		v.Chip, v.Freshness = chip{"fresh", "good", "check"}, ""
	}
	if !s.Confirmed.IsZero() {
		v.Freshness = strings.TrimSpace(v.Freshness + " Known to be the newest " + relative(s.Confirmed, now) + ".")
	}
	if s.Error != "" {
		v.Error = spoken(s.Error)
	}
	return v
}

// commandsOf are what an instance can be asked for.
func commandsOf(i console.InstanceView) []commandButton {
	verb := func(verb, text, means string, args ...hidden) commandButton {
		id := verb
		for _, a := range args {
			id += "-" + a.Value
		}
		return commandButton{ID: id, Text: text, Means: means, Hidden: append([]hidden{{"verb", verb}}, args...)}
	}
	readOnly := verb("read-only", "Freeze", "Shows everything, and refuses writes.", hidden{"read_only", "true"})
	if i.Wanted.ReadOnly {
		readOnly = verb("read-only", "Let it go on", "Takes new entries again.", hidden{"read_only", "false"})
	}
	buttons := []commandButton{
		verb(wire.VerbSync, "Look for news", "Asks for new code and data now."),
		verb(wire.VerbRestart, "Start it again", "A new process beside the old; nobody notices."),
		readOnly,
		verb(wire.VerbLogs, "Send its log", "What it printed lately."),
	}
	if i.LastReport == nil {
		return buttons
	}
	for _, s := range []struct {
		what, name string
		stream     *wire.Stream
	}{{"data", "Data", i.LastReport.Data}, {"service", "Code", i.LastReport.Service}} {
		switch {
		case s.stream == nil:
		case s.stream.Held != "":
			buttons = append(buttons, verb(wire.VerbRelease, s.name+" forward", "Lets it follow what is new again.", hidden{"what", s.what}))
		default:
			buttons = append(buttons, verb(wire.VerbRollback, s.name+" back", "To the one before, and stays there.", hidden{"what", s.what}))
		}
	}
	return buttons
}

var verbWords = map[string]string{
	wire.VerbSync: "Look for news", wire.VerbRetry: "Try again", wire.VerbRollback: "Go back", wire.VerbRelease: "Let go", wire.VerbRestart: "Start again",
	wire.VerbLogs: "Send its log", wire.VerbDrain: "Drain", wire.VerbEnd: "End",
}

func orderOf(o console.Order, path string, now time.Time) orderLine {
	line := orderLine{Chip: chip{"asked", "busy", "half"}, Text: cmp.Or(verbWords[o.Verb], o.Verb), At: at(o.At, now, time.UTC)}
	if what := o.Args["what"]; what != "" {
		line.Text += ": " + map[string]string{"service": "code", "data": "data"}[what]
	}
	r := o.Result
	if r == nil {
		return line
	}
	line.Result = spoken(r.Text)
	switch {
	case !r.OK:
		line.Chip = chip{"did not work", "bad", "warning"}
	case o.Verb == wire.VerbLogs:
		line.Logs = path + "/logs/" + url.PathEscape(o.ID)
		fallthrough
	default:
		line.Chip = chip{"done", "good", "check"}
	}
	return line
}

// machineFacts say what it runs on.
func machineFacts(i console.InstanceView, now time.Time) []fact {
	facts := []fact{{"Instance", i.ID, true}, {"Cloud", i.Cloud, false}}
	add := func(label, value string, code bool) {
		if value != "" {
			facts = append(facts, fact{label, value, code})
		}
	}
	add("Machine", i.Machine, true)
	add("Address", i.Address, true)
	if !i.Launched.IsZero() {
		add("Launched", relative(i.Launched, now), false)
	}
	if from := i.StartedFrom; from != nil {
		add("Started from", "an image that was baked "+relative(from.Baked, now), false)
	}
	if up := i.LiveSince.Sub(i.Launched).Round(time.Second); !i.LiveSince.IsZero() && !i.Launched.IsZero() && up > 0 {
		says := up.String()
		if by := i.Times.Sooner(); by > 0 && i.StartedFrom != nil {
			says += "; from images it is " + by.String() + " sooner than without"
		}
		add("Live after", says, false)
	}
	if !i.LastHeard.IsZero() {
		add("Last heard", relative(i.LastHeard, now), false)
	}
	if r := i.LastReport; r != nil {
		add("popup", r.Popup, false)
		n := r.Numbers
		if n.DiskSize > 0 {
			add("Disk", size(n.DiskFree)+" of "+size(n.DiskSize)+" free", false)
		}
		if n.MemorySize > 0 {
			add("Memory", size(n.MemoryFree)+" of "+size(n.MemorySize)+" free", false)
		}
		if n.Restarts > 0 {
			add("Restarts", thousands(int64(n.Restarts)), false)
		}
	}
	return facts
}
