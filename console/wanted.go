package console

import (
	"reflect"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// defaultFreeze is how long before its end an event is frozen where nobody says when.
const defaultFreeze = 10 * time.Minute

// leastFreeze is the same where somebody let it go on by hand: the final backup needs
// a moment in which nothing is written.
const leastFreeze = time.Minute

// wantedOf is how an instance is to be: its event decides, and after that what is
// wanted of it by hand. Its generation is not set.
func wantedOf(e Event, i Instance) wire.Wanted {
	freeze := e.LastsUntil().Sub(e.FrozenFrom())
	if e.Held == heldOpen {
		freeze = min(freeze, leastFreeze)
	}
	end := wire.End{At: e.End, Zone: e.Zone, Freeze: apps.Duration(freeze)}
	if e.Capped() {
		end.At, end.Zone = e.LastsUntil().UTC().Format(planTime), "UTC"
	}
	w := wire.Wanted{
		End:      &end,
		ReadOnly: e.State == EventFrozen || given(i.Pinned.ReadOnly),
		Ended:    e.State.Over() || i.State == InstanceEnding || i.State == InstanceGone || i.State == InstanceFailed,
	}
	w.ServiceCommit, w.DataRevision = given(i.Pinned.ServiceCommit), given(i.Pinned.DataRevision)
	return w
}

// given is what p points to, or nothing.
func given[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// want brings what is wanted of an instance up to date; the generation rises where that
// is something else than before. What goes on may write again: a final backup that came
// already is not the last word then, unless the instance says so when it is over.
func (i *Instance) want(e Event) {
	w := wantedOf(e, *i)
	w.Generation = i.Wanted.Generation
	if !reflect.DeepEqual(w, i.Wanted) {
		w.Generation++
		i.Wanted = w
		if !w.Ended && i.State != InstanceEnding {
			i.Archive = nil
		}
	}
}
