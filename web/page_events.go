package web

import (
	"net/url"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// An eventsPage is home.
type eventsPage struct {
	Current, Past []eventCard
	MayLaunch     bool
}

// An eventCard is an event as a ticket.
type eventCard struct {
	Path, Title string
	Day, Month  string // of its end, there
	Chip        chip
	Ends        string
	Runs        string // what runs, in a sentence; may be empty
	Cost        string // so far; empty: nothing of it costs money
	Trouble     string
}

func eventPath(id string) string     { return "/events/" + url.PathEscape(id) }
func instancePath(id string) string  { return "/instances/" + url.PathEscape(id) }
func operationPath(id string) string { return "/operations/" + url.PathEscape(id) }
func appPath(id string) string       { return "/apps/" + url.PathEscape(id) }

// mayLaunch says whether a page offers to; the console decides it when somebody does.
func mayLaunch(a console.Actor) bool {
	return (a.Role == console.RoleOwner || a.Role == console.RoleOrganiser) && !a.Reads
}

func (s *Server) pageEvents(c *gin.Context) {
	actor := s.actor(c)
	if actor.Role == console.RoleHelper {
		s.done(c, eventPath(actor.Event), "")
		return
	}
	events, err := s.console.Events(c.Request.Context(), actor)
	if err != nil {
		s.fail(c, err)
		return
	}
	page := eventsPage{MayLaunch: mayLaunch(actor)}
	for _, e := range events {
		card := cardOf(e, s.console.Now())
		if e.State.Over() && e.State != console.EventEnded {
			page.Past = append(page.Past, card)
		} else {
			page.Current = append(page.Current, card)
		}
	}
	s.show(c, view{name: templates.ConsoleEvents, title: "Events", section: sectionEvents, stream: everything, data: page})
}

func cardOf(e console.Event, now time.Time) eventCard {
	last := lastDay(e)
	if e.State.Over() && !e.EndedAt.IsZero() {
		last = e.EndedAt.In(zoneOf(e.Zone))
	}
	month := last.Format("January")
	if last.Year() != now.Year() {
		month = last.Format("Jan 2006")
	}
	card := eventCard{Path: eventPath(e.Name), Title: e.Title, Day: last.Format("2"), Month: month, Chip: eventChips[e.State], Trouble: troubleOf(e), Cost: costWords(e, now)}
	switch {
	case e.State.Over():
		card.Ends = endsWords(e, now)
	case e.State == console.EventScheduled:
		card.Ends = "Starts " + relative(e.StartsAt, now)
	case !e.LastsUntil().After(now):
		card.Ends = "Its end has come"
	default:
		card.Ends = "Ends " + relative(e.LastsUntil(), now)
	}
	return card
}

// troubleOf is why an event does not get on; empty: it does.
func troubleOf(e console.Event) string {
	if e.Stuck == "" {
		return ""
	}
	return spoken(e.Stuck)
}
