package web

import (
	"fmt"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/internal/wire"
	"popup/templates"
)

// A progressPage is what is under way, live.
type progressPage struct {
	Heading, Says, Failure string
	Done                   bool
	Instances              []comingInstance
	EventPath              string
}

// A comingInstance is one that comes up, or goes.
type comingInstance struct {
	ID, Title, Path, Address, Says, Try string
	Chip                                chip
	Phases                              []phaseLine
}

// A phaseLine is a step of a boot.
type phaseLine struct{ Name, State, Says, Shape, Cause, Detail, Try string }

func (s *Server) pageProgress(c *gin.Context) {
	actor := s.actor(c)
	o, err := s.console.Operation(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	e, err := s.console.Event(c.Request.Context(), actor, o.Event)
	if err != nil {
		s.fail(c, err)
		return
	}
	instances, err := s.console.Instances(c.Request.Context(), actor, console.InstanceQuery{Event: o.Event, Limit: 500})
	if err != nil {
		s.fail(c, err)
		return
	}
	page := progressOf(o, e, instances.Instances, s.console.Now())
	refresh := 5
	if page.Done {
		refresh = 0
	}
	s.show(c, view{name: templates.ConsoleProgress, title: page.Heading, section: sectionEvents, stream: following(e.ID), refresh: refresh, data: page})
}

// mostComing are shown with their phases; of more than that only the counts matter.
const mostComing = 20

func progressOf(o console.Operation, e console.Event, all []console.InstanceView, now time.Time) progressPage {
	page := progressPage{EventPath: eventPath(e.Name), Failure: o.Failure, Done: o.State != console.OperationRunning}
	known := map[string]console.InstanceView{}
	for _, i := range all {
		known[i.ID] = i
	}
	live := 0
	for _, id := range o.Instances {
		i, ok := known[id]
		if !ok {
			continue
		}
		if i.Health == console.HealthLive {
			live++
		}
		if len(page.Instances) < mostComing {
			page.Instances = append(page.Instances, comingOf(i, now))
		}
	}
	total := len(o.Instances)
	switch {
	case o.Verb == "end":
		page.Heading, page.Says = e.Title+" is ending", "What the apps have written is archived first; then the machines are taken away."
	case o.State == console.OperationFailed:
		page.Heading, page.Says = e.Title+" needs a look", "Not everything came up. What is below says why, and what to try."
	case live == total && total > 0:
		page.Heading, page.Says = e.Title+" is live", "Everything is up. Hand on its address, and enjoy it."
	case e.State == console.EventScheduled:
		page.Heading, page.Says = e.Title+" is scheduled", endsWords(e, now)+"."
	default:
		page.Heading = e.Title + " is coming up"
		page.Says = fmt.Sprintf("%d of %d live.", live, total)
	}
	return page
}

func comingOf(i console.InstanceView, now time.Time) comingInstance {
	coming := comingInstance{ID: i.ID, Title: i.Title, Path: instancePath(i.ID), Chip: healthChips[i.Health]}
	if i.Number > 1 {
		coming.Title = fmt.Sprintf("%s %d", i.Title, i.Number)
	}
	report := i.LastReport
	switch {
	case i.Health == console.HealthLive:
		coming.Address = webAddress(i.Address)
		return coming
	case i.Failure != "":
		coming.Says = spoken(i.Failure)
	case i.Why != "":
		coming.Says = spoken(i.Why)
	case report == nil && i.Launched.IsZero():
		coming.Says = "Its machine has been asked for."
	case report == nil:
		coming.Says = "Its machine starts; it has not called in yet."
	}
	if report != nil {
		coming.Phases = phaseLines(report.Phases, now)
	}
	return coming
}

// phaseWords are the steps of a boot for people, by the name of each.
var phaseWords = map[string]string{
	"enrol": "Says hello to the console", "fetch service": "Fetches the code", "fetch data": "Fetches the data", "packages": "Installs packages",
	"build": "Builds", "start": "Starts", "check": "Checks that it answers",
}

// phaseTries say what to try when a step does not work.
var phaseTries = map[string]string{
	"enrol":         "Its machine must be able to reach this console; see Settings for the address.",
	"fetch service": "Check that the repository can be read by everybody, and that branch or commit is there.",
	"fetch data":    "Check that the data’s address can be read by everybody. The app starts once it is there.",
	"packages":      "It is tried again by itself; the package servers may be busy. If it stays, the manifest may name a package that this system does not have.",
	"build":         "What it printed says more. The app’s author may know; or pin the commit before.",
	"start":         "What it printed says more. Check the settings of the app.",
	"check":         "The app runs and does not answer as its manifest says it should. Look at its log.",
}

var phaseStates = map[string]struct{ says, shape string }{
	"waiting": {"to come", "dashed"}, "running": {"under way", "half"}, "done": {"done", "check"}, "kept": {"as before", "check"}, "failed": {"did not work", "warning"},
}

func phaseLines(phases []wire.Phase, now time.Time) []phaseLine {
	lines := make([]phaseLine, 0, len(phases))
	for _, p := range phases {
		line := phaseLine{Name: p.Name, State: p.State, Says: p.State, Shape: "dashed"}
		if words := phaseWords[p.Name]; words != "" {
			line.Name = words
		}
		if state, known := phaseStates[p.State]; known {
			line.Says, line.Shape = state.says, state.shape
		} else {
			line.State = "waiting"
		}
		if p.State == "failed" {
			line.Cause, line.Detail, line.Try = spoken(p.Cause), strings.TrimSpace(p.Detail), phaseTries[p.Name]
			if p.NextTry.After(now) {
				line.Says += "; again " + relative(p.NextTry, now)
			}
		}
		if p.Attempt > 1 && p.State == "running" {
			line.Says += fmt.Sprintf(", try %d", p.Attempt)
		}
		lines = append(lines, line)
	}
	return lines
}
