package console

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// begin has a draft wait for its start, or opens it.
func (c *Console) begin(tx Tx, e *Event) error {
	if e.StartsAt.After(c.now()) {
		e.State = EventScheduled
		c.tellState(e)
		return nil
	}
	return c.open(tx, e)
}

// open opens an event, and has what is planned in it launched.
func (c *Console) open(tx Tx, e *Event) error {
	if err := e.take(stepOpen); err != nil {
		return err
	}
	e.Reminded = c.now() // no reminder is given of a moment before that
	if e.StartsAt.IsZero() {
		e.StartsAt = e.Reminded
	}
	c.tellState(e)
	return c.each(tx, *e, func(i *Instance) {
		if i.State == InstancePlanned {
			i.Due = c.now()
		}
		i.want(*e)
	})
}

// end ends an event: what was never launched is gone, and all else is told to end. o is
// made the operation that tells how far that is.
func (c *Console) end(tx Tx, e *Event, o *Operation) error {
	if err := e.take(stepEnd); err != nil {
		return err
	}
	e.EndedAt, e.EndedBy = c.now(), o.By
	o.Event, o.State, o.Instances = e.ID, OperationRunning, nil
	c.tellState(e)
	err := c.each(tx, *e, func(i *Instance) {
		if i.State.Over() {
			return
		}
		o.Instances = append(o.Instances, i.ID)
		i.end(c.now())
		i.want(*e)
	})
	return errors.Join(err, put(tx, *o))
}

// end tells an instance to end.
func (i *Instance) end(now time.Time) {
	switch i.State {
	case InstancePlanned:
		i.State, i.Gone, i.Due = InstanceGone, now, time.Time{}
	case InstanceLaunching, InstanceStarting, InstanceLive:
		i.State, i.Ended, i.Due, i.Tries, i.Failure = InstanceEnding, now, now, 0, ""
	}
}

// advance takes an event through all that time and its instances have it go through by
// now. Who called it writes the event.
func (c *Console) advance(tx Tx, e *Event) error {
	err := c.recount(tx, e)
	for on := true; err == nil && on; {
		on, err = c.advanceOnce(tx, e)
	}
	if err == nil {
		err = errors.Join(c.settle(tx, e), c.count(tx, e))
	}
	return err
}

func (c *Console) advanceOnce(tx Tx, e *Event) (on bool, err error) {
	now := c.now()
	over := !e.State.Over() && !e.LastsUntil().After(now)
	if !e.State.Over() {
		e.Stuck = ""
	}
	if over {
		e.Stuck = c.clock.doubt()
	}
	switch {
	case over && e.Stuck == "":
		o, why := Operation{ID: newID(16), Verb: verbEnd, By: System.ID, Created: now}, "its end has come"
		if e.CapReached = e.Capped(); e.CapReached {
			why = "its cap of " + e.CapAmount().String() + " is reached"
		}
		return true, errors.Join(c.end(tx, e, &o), c.audit(tx, System, verbEnd, "event/"+e.ID, "ended "+e.Name+": "+why))
	case e.State == EventOpen && e.Held == "" && !e.FrozenFrom().After(now):
		return true, c.turn(tx, e, stepFreeze)
	case over: // its end is in doubt: it is neither opened nor reminded of
		return false, nil
	case e.State == EventScheduled && !e.StartsAt.After(now):
		return true, c.open(tx, e)
	case e.State == EventFrozen && e.Held == "" && e.FrozenFrom().After(now): // it was extended
		return true, c.turn(tx, e, stepThaw)
	}
	c.remind(e)
	return false, nil
}

// turn takes a step that changes how an event's instances are to be.
func (c *Console) turn(tx Tx, e *Event, s step) error {
	if err := e.take(s); err != nil {
		return err
	}
	c.tellState(e)
	return c.wantAll(tx, *e)
}

// each has fn look at every instance of an event, and writes those that it changes.
func (c *Console) each(tx Tx, e Event, fn func(*Instance)) error {
	all, err := instancesOf(tx, e.ID)
	for k := 0; k < len(all) && err == nil; k++ {
		fn(&all[k])
		err = put(tx, all[k])
	}
	return err
}

// wantAll tells all instances of an event how they are to be.
func (c *Console) wantAll(tx Tx, e Event) error {
	return c.each(tx, e, func(i *Instance) { i.want(e) })
}

// settle writes down which of an event's operations are done, and archives it once all
// that was made for it is proven gone, or named as left behind.
func (c *Console) settle(tx Tx, e *Event) error {
	operations, err := list[Operation](tx, Query{Parent: e.ID, State: string(OperationRunning)})
	if err != nil || len(operations) == 0 && e.State != EventEnded {
		return err
	}
	all, err := instancesOf(tx, e.ID)
	if err != nil {
		return err
	}
	if e.State == EventEnded {
		over := !slices.ContainsFunc(all, func(i Instance) bool { return !i.State.Over() })
		cleared, why, err := c.clears(tx, *e, over)
		if err != nil {
			return err
		}
		e.Stuck = cmp.Or(stuck(all), why)
		if over && cleared {
			if err := e.take(stepArchive); err != nil {
				return err
			}
			e.PurgeAt = c.now().Add(c.opts.PurgeAfter)
			c.tellState(e)
		}
	}
	for _, o := range operations {
		done := false
		if o.Verb == verbBake {
			var bad error
			done, bad = o.settleBake(tx, *e, c.now())
			err = errors.Join(err, bad)
		} else {
			done = o.settle(all, c.now())
		}
		if done {
			err = errors.Join(err, put(tx, o))
		}
	}
	return err
}

// stuck says why an event that ended does not get on; empty: it does.
func stuck(all []Instance) string {
	var why []string
	for _, i := range all {
		if i.State == InstanceEnding && i.Failure != "" {
			why = append(why, i.ID+": "+i.Failure)
		}
	}
	const shown = 3
	if len(why) > shown {
		why = append(why[:shown], fmt.Sprintf("and %d more", len(why)-shown))
	}
	return strings.Join(why, " ")
}

// nextDue is when an event has to be looked at again; zero: when something of it changes.
func (e Event) nextDue() (due time.Time) {
	at := func(t time.Time) {
		if !t.IsZero() && (due.IsZero() || t.Before(due)) {
			due = t
		}
	}
	if len(e.Messages) > 0 { // they are told in order
		at(e.Messages[0].Due)
	}
	if e.doubted() {
		at(e.Created) // again and again: a clock that is set back is not waited for
	}
	switch e.State {
	case EventArchived:
		at(e.PurgeAt)
	case EventScheduled:
		at(e.StartsAt)
	case EventOpen:
		if e.Held == "" {
			at(e.FrozenFrom())
		}
	}
	if e.State == EventOpen || e.State == EventFrozen {
		at(e.nextReminder())
	}
	if !e.State.Over() {
		at(e.LastsUntil())
	}
	return due
}
