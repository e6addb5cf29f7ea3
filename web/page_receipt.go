package web

import (
	"fmt"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/templates"
)

// A receiptPage says what became of everything that was made for an event.
type receiptPage struct {
	Title, Says, By, Machines string
	Purge, Cost               string
	Ended                     *moment
	Lines                     []receiptLine
	Issued                    string
	EventPath                 string
	Confirmations             []confirmation
}

// A receiptLine is one machine.
type receiptLine struct {
	ID, Title, State, Sum, Path string
	Chip                        chip
	Gone                        *moment
}

func (s *Server) pageReceipt(c *gin.Context) {
	actor := s.actor(c)
	receipt, err := s.console.Receipt(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	page := receiptOf(receipt, now())
	if by := receipt.Event.EndedBy; by != "" && !receipt.Event.CapReached {
		page.By = s.names(c)[by]
	}
	if manages(actor, receipt.Event) {
		page.Confirmations = s.discards(c, receipt)
	}
	s.show(c, view{name: templates.ConsoleReceipt, title: "Receipt of " + receipt.Event.Title, section: sectionEvents,
		stream: following(receipt.Event.ID), refresh: refreshOf(receipt), data: page})
}

// refreshOf has a browser without scripts ask again while something is still to come.
func refreshOf(r console.Receipt) int {
	if r.Event.State == console.EventEnded {
		return 15
	}
	return 0
}

func receiptOf(r console.Receipt, now time.Time) receiptPage {
	e, zone := r.Event, zoneOf(r.Event.Zone)
	page := receiptPage{Title: e.Title, EventPath: eventPath(e.Name), Ended: at(e.EndedAt, now, zone)}
	gone := 0
	for _, l := range r.Instances {
		line := receiptLine{ID: l.Instance.ID, Title: l.Title, State: l.State, Chip: healthChips[console.HealthEnding], Gone: at(l.Instance.Gone, now, zone)}
		if l.Gone {
			gone++
			line.Chip = chip{"gone", "good", "check"}
		}
		if a := l.Instance.Archive; a != nil && e.State != console.EventPurged {
			line.Sum, line.Path = a.SHA256, archivePath(*a)
		}
		page.Lines = append(page.Lines, line)
	}
	page.Machines = fmt.Sprintf("%d of %d proven gone", gone, len(r.Instances))
	switch {
	case e.State == console.EventPurged:
		page.Says = "It is over, and its archives were removed."
	case gone == len(r.Instances):
		page.Says = "It is over: everything that ran is gone, and what was worth keeping is archived."
	default:
		page.Says = "It is ending. What the apps have written is archived and verified before a machine is taken away."
	}
	if !e.PurgeAt.IsZero() && e.State == console.EventArchived {
		page.Purge = "kept until " + at(e.PurgeAt, now, zone).Text
	}
	switch {
	case e.CapReached:
		page.By = "its cap of " + e.CapAmount().String()
	case e.EndedBy == "" && e.State.Over():
		page.By = "its date"
	}
	page.Cost = costWords(e, now)
	page.Issued = "As of " + at(now, now, zone).Text + "."
	return page
}

// discards offers to give up what an instance wrote, where its archive does not come.
func (s *Server) discards(c *gin.Context, r console.Receipt) (all []confirmation) {
	for _, l := range r.Instances {
		i := l.Instance
		if l.Gone || i.Archive != nil || i.State != console.InstanceEnding && i.State != console.InstanceLost || i.Failure == "" {
			continue
		}
		all = append(all, confirmation{ID: "discard-" + i.ID, Title: "Give up what " + l.Title + " wrote", Name: i.ID, Button: "Give it up",
			Action: instancePath(i.ID) + "/discard", CSRF: s.csrf(c), Text: "Its archive does not come: " + spoken(i.Failure) + " If you give it up, the machine is taken away with everything on it."})
	}
	return all
}
