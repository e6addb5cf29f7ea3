package console

import (
	"fmt"
	"slices"
	"time"
)

// A step is what an event goes through.
type step string

// The steps of an event.
const (
	stepLaunch  step = "launched into" // apps are launched in it
	stepOpen    step = "opened"        // its start has come
	stepChange  step = "changed"
	stepFreeze  step = "frozen"
	stepThaw    step = "thawed"
	stepEnd     step = "ended"
	stepArchive step = "archived" // all that was made for it is proven gone, or named as left behind
	stepPurge   step = "purged"
)

// steps say from which states each step leads, and where to; no To: it stays there.
var steps = map[step]struct {
	From []EventState
	To   EventState
}{
	stepLaunch:  {From: []EventState{EventDraft, EventScheduled, EventOpen}},
	stepOpen:    {[]EventState{EventDraft, EventScheduled}, EventOpen},
	stepChange:  {From: []EventState{EventDraft, EventScheduled, EventOpen, EventFrozen}},
	stepFreeze:  {[]EventState{EventOpen}, EventFrozen},
	stepThaw:    {[]EventState{EventFrozen}, EventOpen},
	stepEnd:     {[]EventState{EventDraft, EventScheduled, EventOpen, EventFrozen}, EventEnded},
	stepArchive: {[]EventState{EventEnded}, EventArchived},
	stepPurge:   {[]EventState{EventArchived}, EventPurged},
}

// because says of each state why a step does not lead from it, and what to try.
var because = map[EventState]string{
	EventDraft:     "nothing was launched in it yet; launch something first",
	EventScheduled: "it has not begun; wait for its start, or change it",
	EventOpen:      "it is open",
	EventFrozen:    "it is frozen; let it go on first",
	EventEnded:     "it is over, and is being archived; its receipt tells how far that is",
	EventArchived:  "it is over; make a new one",
	EventPurged:    "it is over, and its archives were removed; make a new one",
}

// may says whether a step leads from where the event is; its error is a *ConflictError.
func (e Event) may(s step) error {
	if e.Bakes && s == stepLaunch {
		return &ConflictError{e.Name + " is there for an image alone; make an event of its own"}
	}
	if slices.Contains(steps[s].From, e.State) {
		return nil
	}
	return &ConflictError{fmt.Sprintf("%s cannot be %s: %s", e.Name, s, because[e.State])}
}

// take takes a step; where it does not lead from here its error is a *ConflictError, and
// the event is as it was.
func (e *Event) take(s step) error {
	if err := e.may(s); err != nil {
		return err
	}
	if to := steps[s].To; to != "" {
		e.State = to
	}
	return nil
}

// defaultPurge is how long archives are kept once an event is archived.
const defaultPurge = 30 * 24 * time.Hour
