package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestSteps walks every step from every state, against a table of its own.
func TestSteps(t *testing.T) {
	leads := map[step]map[EventState]EventState{
		stepLaunch:  {EventDraft: EventDraft, EventScheduled: EventScheduled, EventOpen: EventOpen},
		stepOpen:    {EventDraft: EventOpen, EventScheduled: EventOpen},
		stepChange:  {EventDraft: EventDraft, EventScheduled: EventScheduled, EventOpen: EventOpen, EventFrozen: EventFrozen},
		stepFreeze:  {EventOpen: EventFrozen},
		stepThaw:    {EventFrozen: EventOpen},
		stepEnd:     {EventDraft: EventEnded, EventScheduled: EventEnded, EventOpen: EventEnded, EventFrozen: EventEnded},
		stepArchive: {EventEnded: EventArchived},
		stepPurge:   {EventArchived: EventPurged},
	}
	if len(leads) != len(steps) {
		t.Fatalf("there are %d steps, and %d are tested", len(steps), len(leads))
	}
	for s := range steps {
		for _, from := range eventStates {
			e := Event{Name: "fair", State: from}
			err := e.take(s)
			to, may := leads[s][from]
			var conflict *ConflictError
			switch {
			case may && (err != nil || e.State != to):
				t.Errorf("%s from %s: %s, %v; want %s", s, from, e.State, err, to)
			case !may && (!errors.As(err, &conflict) || e.State != from):
				t.Errorf("%s from %s: %s, %v; want a refusal", s, from, e.State, err)
			case !may && !strings.HasPrefix(err.Error(), "fair cannot be "+string(s)+": "+because[from]) || !may && because[from] == "":
				t.Errorf("%s from %s says %q", s, from, err)
			}
		}
	}
}

// TestFreezesByItselfAndByHand: what somebody decides by hand holds, until an end.
func TestFreezesByItselfAndByHand(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	is := func(what string, state EventState, readOnly bool) {
		t.Helper()
		checkState(t, what, stored[Event](t, l.testConsole, e.ID).State, state)
		checkState(t, what+": read-only", stored[Instance](t, l.testConsole, id).Wanted.ReadOnly, readOnly)
	}
	do := func(use func() (Event, error)) {
		t.Helper()
		if _, err := use(); err != nil {
			t.Fatal(err)
		}
		l.settle(t)
	}
	is("launched", EventOpen, false)
	do(func() (Event, error) { return l.FreezeEvent(t.Context(), anOwner, e.Name) })
	is("frozen by hand", EventFrozen, true)
	l.later(t, time.Hour)
	is("an hour later", EventFrozen, true)
	do(func() (Event, error) { return l.ThawEvent(t.Context(), anOwner, e.Name) })
	is("let go on", EventOpen, false)
	l.later(t, e.FreezesAt.Sub(l.now()))
	is("when it would have been frozen", EventOpen, false)
	if w := stored[Instance](t, l.testConsole, id).Wanted.End; time.Duration(w.Freeze) != leastFreeze {
		t.Errorf("let go on by hand, it freezes itself %s before its end", w.Freeze)
	}
	l.later(t, e.EndsAt.Sub(l.now()))
	checkState(t, "at its end", stored[Event](t, l.testConsole, e.ID).State, EventArchived) // it never enrolled
}

// TestExtending thaws what froze by itself, and has every instance told.
func TestExtending(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice"}))
	before := stored[Instance](t, l.testConsole, all[0].ID).Wanted
	l.later(t, e.FreezesAt.Sub(l.now()))
	checkState(t, "before its end", stored[Event](t, l.testConsole, e.ID).State, EventFrozen)
	end := "2026-06-07"
	e, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{End: &end})
	if err != nil {
		t.Fatal(err)
	}
	checkState(t, "extended", e.State, EventOpen)
	w := stored[Instance](t, l.testConsole, all[0].ID).Wanted
	if w.End.At != end || w.End.Zone != "Europe/Berlin" || w.Generation <= before.Generation || w.ReadOnly || w.Ended {
		t.Errorf("it is told %+v, %+v", w, *w.End)
	}
	l.later(t, 24*time.Hour)
	checkState(t, "after its old end", stored[Event](t, l.testConsole, e.ID).State, EventOpen)
	past, other := "2026-05-01", "nobody"
	for _, c := range []EventChange{{End: &past}, {Owner: &other}, {Title: new(string)}, {Start: &end}} {
		var input *InputError
		if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, c); !errors.As(err, &input) {
			t.Errorf("changed to %+v: %v", c, err)
		}
	}
	if now := stored[Event](t, l.testConsole, e.ID); now.End != end || now.Owner != anOwner.ID || now.Title != "Spring Fair" {
		t.Errorf("what was refused was changed: %+v", now)
	}
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Title: new("a\nb"), Start: new("2026-05-02"), End: new("2020-01-01")}); faults(err) != "title start end" {
		t.Errorf("the faults are %q, %v", faults(err), err)
	}
}

func TestScheduled(t *testing.T) {
	l := newLiving(t)
	r := fair(AppRequest{App: "notice", Count: 2})
	r.Event.Start = "2026-05-10"
	e, all := l.launched(t, r)
	checkState(t, "launched", e.State, EventScheduled)
	if len(l.cloud.instances()) != 0 || all[0].State != InstancePlanned {
		t.Fatalf("before its start there is %v", l.cloud.instances())
	}
	later := "2026-05-12"
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Start: &later}); err != nil {
		t.Fatal(err)
	}
	l.later(t, 10*24*time.Hour)
	checkState(t, "at its first start", stored[Event](t, l.testConsole, e.ID).State, EventScheduled)
	l.later(t, 24*time.Hour)
	e = stored[Event](t, l.testConsole, e.ID)
	checkState(t, "at its start", e.State, EventOpen)
	if got := l.cloud.instances(); !slices.Equal(got, []string{all[0].ID, all[1].ID}) {
		t.Errorf("machines %v for %v", got, all)
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, "another"); err == nil {
		t.Error("it was ended by another name")
	}
}

// TestEndedBeforeItsStart: what was never launched needs no machine to be gone.
func TestEndedBeforeItsStart(t *testing.T) {
	l := newLiving(t)
	r := fair(AppRequest{App: "guestbook"})
	r.Event.Start = "2026-05-10"
	e, _ := l.launched(t, r)
	o, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name)
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	checkState(t, "ended", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	checkState(t, "the end", stored[Operation](t, l.testConsole, o.ID).State, OperationDone)
	if len(l.cloud.launches) != 0 {
		t.Error("it was launched")
	}
	l.checkReceipt(t, e, "It was never live: nothing was written, and nothing is archived.")
	if _, err := l.PurgeEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	checkState(t, "purged", stored[Event](t, l.testConsole, e.ID).State, EventPurged)
	if _, err := l.PublicEvent(t.Context(), e.Name); !errors.Is(err, ErrNotFound) {
		t.Errorf("its page is still there: %v", err)
	}
}

func TestWhoMayDoWhatWithEvents(t *testing.T) {
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	draft, err := l.CreateEvent(t.Context(), anOrganiser, EventRequest{Title: "Otto's"})
	if err != nil {
		t.Fatal(err)
	}
	if seen, err := l.Events(t.Context(), anOrganiser); err != nil || len(seen) != 1 || seen[0].ID != draft.ID {
		t.Errorf("an organiser sees %v, %v", seen, err)
	}
	if seen, err := l.Events(t.Context(), aViewer); err != nil || len(seen) != 2 {
		t.Errorf("a viewer sees %v, %v", seen, err)
	}
	for name, use := range map[string]func(a Actor) error{
		"freeze": func(a Actor) error { _, err := l.FreezeEvent(t.Context(), a, e.Name); return err },
		"end":    func(a Actor) error { _, err := l.EndEvent(t.Context(), a, e.Name, e.Name); return err },
		"purge":  func(a Actor) error { _, err := l.PurgeEvent(t.Context(), a, e.Name, e.Name); return err },
		"change": func(a Actor) error { _, err := l.ChangeEvent(t.Context(), a, e.Name, EventChange{}); return err },
		"launch": func(a Actor) error {
			_, err := l.Launch(t.Context(), a, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice"}}}, "")
			return err
		},
	} {
		var input *InputError
		if err := use(anOrganiser); !errors.Is(err, ErrNotFound) && !errors.As(err, &input) {
			t.Errorf("%s by an organiser of another event: %v", name, err)
		}
		if err := use(aViewer); !errors.Is(err, ErrForbidden) {
			t.Errorf("%s by a viewer: %v", name, err)
		}
		if err := use(aStranger); !errors.Is(err, ErrSignIn) {
			t.Errorf("%s by a stranger: %v", name, err)
		}
	}
	checkState(t, "afterwards", stored[Event](t, l.testConsole, e.ID).State, EventOpen)
	for _, seen := range []func(Actor) error{
		func(a Actor) error { _, err := l.Event(t.Context(), a, e.Name); return err },
		func(a Actor) error { _, err := l.Deployments(t.Context(), a, e.Name); return err },
		func(a Actor) error { _, err := l.Operations(t.Context(), a, e.Name); return err },
		func(a Actor) error { _, err := l.Receipt(t.Context(), a, e.Name); return err },
	} {
		if err := seen(anOrganiser); !errors.Is(err, ErrNotFound) {
			t.Errorf("an organiser of another event sees it: %v", err)
		}
		if err := seen(aStranger); !errors.Is(err, ErrSignIn) {
			t.Errorf("a stranger sees it: %v", err)
		}
		if err := seen(aViewer); err != nil {
			t.Errorf("a viewer does not: %v", err)
		}
	}
}
