package console

import (
	"slices"
	"time"
)

// KindEvent is of events.
const KindEvent Kind = "event"

// An EventState is how far an event is.
type EventState string

// The states of an event, in the order in which it goes through them; frozen and open
// may take turns.
const (
	EventDraft     EventState = "draft"     // it is being put together; nothing runs
	EventScheduled EventState = "scheduled" // it will be launched at its start
	EventOpen      EventState = "open"
	EventFrozen    EventState = "frozen"   // all is shown, and writes are refused
	EventEnded     EventState = "ended"    // its instances are being archived and taken away
	EventArchived  EventState = "archived" // nothing runs any more; its archives are kept
	EventPurged    EventState = "purged"   // its archives were removed as well
)

var eventStates = []EventState{EventDraft, EventScheduled, EventOpen, EventFrozen, EventEnded, EventArchived, EventPurged}

// What somebody decided by hand.
const (
	heldFrozen = "frozen"
	heldOpen   = "open"
)

// Over says that nothing is launched for the event any more.
func (s EventState) Over() bool {
	return slices.Index(eventStates, s) >= slices.Index(eventStates, EventEnded)
}

// An Event is a named stretch of time that holds deployments.
type Event struct {
	ID    string     `json:"id"`
	Name  string     `json:"name"` // its public page is /e/NAME: lower-case letters, digits and hyphens, never used twice
	Title string     `json:"title"`
	State EventState `json:"state"`
	Owner string     `json:"owner"` // a person's id
	// End is the date, or the date and time, at which it is over, in Zone.
	End    string `json:"end"`
	Zone   string `json:"zone"` // an IANA name
	Start  string `json:"start,omitempty"`
	Freeze string `json:"freeze,omitempty"`
	// The same as moments; FreezesAt is before the end where Freeze is not given.
	StartsAt  time.Time `json:"starts_at,omitzero"`
	FreezesAt time.Time `json:"freezes_at,omitzero"`
	EndsAt    time.Time `json:"ends_at"`
	// Held is set while somebody froze it (or let it go on) by hand, whatever FreezesAt says.
	Held string `json:"held,omitempty"` // heldFrozen, heldOpen, or empty
	// Cap is what it may cost, in millionths of the currency it is paid in; 0: as much as it does.
	Cap int64 `json:"cap,omitempty"`
	// CapReached says that it was ended because of it.
	CapReached bool `json:"cap_reached,omitempty"`
	// Meters are what it costs, one a currency; none: nothing. Unpriced says that what
	// some of it costs is not known.
	Meters   []Meter `json:"meters,omitempty"`
	Unpriced bool    `json:"unpriced,omitempty"`
	// Webhook is told of reminders and of changes of state; empty: nobody is.
	Webhook  string    `json:"webhook,omitempty"`
	Reminded time.Time `json:"reminded,omitzero"` // the last reminder that was given, or when it was opened
	Created  time.Time `json:"created"`
	// Bakes says that it is there for an image alone.
	Bakes   bool      `json:"bakes,omitempty"`
	EndedBy string    `json:"ended_by,omitempty"` // who ended it early: an actor's id
	EndedAt time.Time `json:"ended_at,omitzero"`
	// Stuck is why it does not get on: a sentence for its owner. Empty: it does.
	Stuck   string    `json:"stuck,omitempty"`
	PurgeAt time.Time `json:"purge_at,omitzero"` // when its archives are removed; zero: never by itself
	// Messages wait to be told to Webhook.
	Messages []Message `json:"messages,omitempty"`
	// Due is when the reconciler looks at it next.
	Due time.Time `json:"due,omitzero"`
}

func (e Event) record() Record {
	return Record{Kind: KindEvent, ID: e.ID, Name: e.Name, Parent: e.Owner, Topic: e.ID, State: string(e.State),
		Sort: e.EndsAt.UTC().Format(time.RFC3339), Due: e.Due}
}
