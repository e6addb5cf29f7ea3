package console

import (
	"reflect"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

func TestWanted(t *testing.T) {
	event := func(change func(*Event)) Event {
		e := Event{State: EventOpen, End: "2026-05-31", Zone: "UTC", EndsAt: aDay.Add(time.Hour), FreezesAt: aDay.Add(54 * time.Minute)}
		change(&e)
		return e
	}
	as := func(Event) Event { return event(func(*Event) {}) }
	yes, commit := true, "abc"
	end := &wire.End{At: "2026-05-31", Zone: "UTC", Freeze: apps.Duration(6 * time.Minute)}
	for name, c := range map[string]struct {
		e    Event
		i    Instance
		want wire.Wanted
	}{
		"open":         {as(Event{}), Instance{}, wire.Wanted{End: end}},
		"frozen":       {event(func(e *Event) { e.State = EventFrozen }), Instance{}, wire.Wanted{End: end, ReadOnly: true}},
		"ended":        {event(func(e *Event) { e.State = EventEnded }), Instance{}, wire.Wanted{End: end, Ended: true}},
		"ending alone": {as(Event{}), Instance{State: InstanceEnding}, wire.Wanted{End: end, Ended: true}},
		"lost":         {as(Event{}), Instance{State: InstanceLost}, wire.Wanted{End: end}},
		"by hand":      {as(Event{}), Instance{Pinned: Pins{ReadOnly: &yes, ServiceCommit: &commit}}, wire.Wanted{End: end, ReadOnly: true, ServiceCommit: "abc"}},
		"let go on": {event(func(e *Event) { e.Held = heldOpen }), Instance{},
			wire.Wanted{End: &wire.End{At: "2026-05-31", Zone: "UTC", Freeze: apps.Duration(leastFreeze)}}},
	} {
		if got := wantedOf(c.e, c.i); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %+v, %+v", name, got, *got.End)
		}
	}
}

func TestGenerationRisesWithAChangeAlone(t *testing.T) {
	e := Event{State: EventOpen, End: "2026-05-31", Zone: "UTC", EndsAt: aDay, FreezesAt: aDay.Add(-time.Minute)}
	var i Instance
	i.want(e)
	i.want(e)
	if i.Wanted.Generation != 1 {
		t.Errorf("the first is generation %d", i.Wanted.Generation)
	}
	e.State = EventFrozen
	i.want(e)
	i.want(e)
	e.State = EventOpen
	i.want(e)
	if i.Wanted.Generation != 3 || i.Wanted.ReadOnly {
		t.Errorf("frozen and thawed it is %+v", i.Wanted)
	}
}
