package web

import (
	"fmt"
	"slices"
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
	Things                    []thingLine
	Unknown                   string
	Confirmations             []confirmation
	Problems                  []fieldProblem
}

// A thingLine is something that was made for it beside its machines.
type thingLine struct {
	Kind, ID, Where, Title, Why string
	Chip                        chip
	Gone                        *moment
}

// A receiptLine is one machine.
type receiptLine struct {
	ID, Title, State, Sum, Path string
	Chip                        chip
	Gone                        *moment
}

func (s *Server) pageReceipt(c *gin.Context) { s.showReceipt(c, nil, 0) }

func (s *Server) showReceipt(c *gin.Context, errors []console.FieldError, status int) {
	actor := s.actor(c)
	receipt, err := s.console.Receipt(c.Request.Context(), actor, c.Param("id"))
	if err != nil {
		s.fail(c, err)
		return
	}
	page := receiptOf(receipt, s.console.Now())
	if by := receipt.Event.EndedBy; by != "" && !receipt.Event.CapReached {
		page.By = s.names(c)[by]
	}
	if manages(actor, receipt.Event) {
		page.Confirmations = append(s.discards(c, receipt), s.dismissals(c, receipt)...)
	}
	page.Problems = explain(errors, "")
	s.show(c, view{name: templates.ConsoleReceipt, status: status, title: "Receipt of " + receipt.Event.Title, section: sectionEvents,
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
		if a := l.Instance.Archive; a != nil && a.Vault == "" && e.State != console.EventPurged {
			line.Sum, line.Path = a.SHA256, archivePath(*a)
		}
		page.Lines = append(page.Lines, line)
	}
	page.Machines = fmt.Sprintf("%d of %d proven gone", gone, len(r.Instances))
	left := 0
	for _, t := range r.Things {
		line := thingOf(t, now, zone)
		if t.Left {
			left++
		}
		page.Things = append(page.Things, line)
	}
	if r.Unknown != "" {
		page.Unknown = spoken(r.Unknown)
	}
	switch {
	case left > 0 || r.Unknown != "" && e.State == console.EventArchived:
		page.Says = "It is over, and what was worth keeping is archived. Not all that was made for it is gone: see what was left behind."
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

func thingOf(t console.ReceiptThing, now time.Time, zone *time.Location) thingLine {
	line := thingLine{Kind: string(t.Kind), ID: t.ID, Where: t.Cloud, Title: t.Title, Chip: healthChips[console.HealthEnding], Gone: at(t.Gone, now, zone)}
	if t.Place != "" {
		line.Where += ", " + t.Place
	}
	if t.Why != "" {
		line.Why = spoken(t.Why)
	}
	switch {
	case !t.Gone.IsZero():
		line.Chip = chip{"gone", "good", "check"}
	case t.Dismissed != "":
		line.Chip, line.Why = chip{"left behind", "cold", "pause"}, spoken("its owner said that it may stay")
	case t.Left:
		line.Chip = chip{"left behind", "bad", "warning"}
	}
	return line
}

// dismissals offer to let what was left behind stay.
func (s *Server) dismissals(c *gin.Context, r console.Receipt) (all []confirmation) {
	for n, t := range r.Things {
		if !t.Left || t.Dismissed != "" {
			continue
		}
		all = append(all, confirmation{ID: fmt.Sprintf("dismiss-%d", n), Title: "Let the " + string(t.Kind) + " stay", Name: t.ID, Button: "Let it stay",
			Action: eventPath(r.Event.Name) + "/dismiss", CSRF: s.csrf(c), Text: "It is tried again each hour. If you let it stay, it is not tried any more, and whoever pays for " + t.Cloud + " goes on paying for it."})
	}
	return all
}

// doDismiss lets something that was left behind stay.
func (s *Server) doDismiss(c *gin.Context) {
	err := s.console.DismissThing(c.Request.Context(), s.actor(c), c.Param("id"), c.PostForm("name"))
	if s.refuse(c, err, func(fields []console.FieldError, status int) { s.showReceipt(c, fields, status) }) {
		return
	}
	s.done(c, eventPath(c.Param("id"))+"/receipt", "saved")
}

// discards offers to give up what an instance wrote, where its archive does not come.
func (s *Server) discards(c *gin.Context, r console.Receipt) (all []confirmation) {
	for _, l := range r.Instances {
		i := l.Instance
		held := slices.ContainsFunc(r.Things, func(t console.ReceiptThing) bool { return t.Holds == i.ID && t.Gone.IsZero() })
		if !held && (i.Archive != nil || i.State != console.InstanceEnding || i.Failure == "") {
			continue
		}
		all = append(all, confirmation{ID: "discard-" + i.ID, Title: "Give up what " + l.Title + " wrote", Name: i.ID, Button: "Give it up",
			Action: instancePath(i.ID) + "/discard", CSRF: s.csrf(c), Text: "Its archive does not come: " + spoken(i.Failure) + " If you give it up, what it was written on is taken away with everything on it."})
	}
	return all
}
