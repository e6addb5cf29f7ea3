package console

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// sayGoodbye is how long an instance without state has for its own end.
	sayGoodbye = 2 * time.Minute
	// lastWords is how long one whose final backup came has for its app's last script.
	lastWords = 30 * time.Second
	// mayBeLive is how long one that enrolled and was never live has to say that it was.
	mayBeLive = 5 * time.Minute
	// patience is how long a final backup may take before somebody is asked.
	patience = 10 * time.Minute
)

// A verdict says whether the machine of an instance that is ending may be taken away.
type verdict struct {
	Take  bool
	Why   string        // what it waits for that does not come, and what to try; empty: nothing is wrong
	Again time.Duration // when to look again, where it may not
}

// A judged says when it is judged, and since when this console could hear of anybody.
type judged struct{ Started, Now time.Time }

// verdict is the one place where it is decided that a machine is taken away: where
// nothing is lost by it, or somebody gave it up by name.
func (i Instance) verdict(d Deployment, at judged) verdict {
	now := at.Now
	told := now.Sub(i.Ended)
	said := i.saidOver()
	switch {
	case i.Discarded != "", i.ReplacedBy != "": // what it wrote is given up, or on the volume of the next
		return verdict{Take: true}
	case i.Archive != nil:
		if kept := now.Sub(i.Archive.Verified); !said && i.Stopped.IsZero() && kept < lastWords {
			return verdict{Again: lastWords - kept}
		}
		return verdict{Take: true}
	case !d.HasState():
		if said || !i.Stopped.IsZero() || i.Enrolled.IsZero() || told >= sayGoodbye {
			return verdict{Take: true}
		}
		return verdict{Again: sayGoodbye - told}
	case !i.mayHaveWritten(d):
		// What enrolled may be live by now without having said so. What did not, of before
		// this console was started, may have where its store, of a backup, has no word of it.
		wait := mayBeLive - told
		if i.Enrolled.IsZero() {
			wait = mayBeLive - now.Sub(at.Started)
		}
		if wait <= 0 || i.Enrolled.IsZero() && !i.Created.Before(at.Started) {
			return verdict{Take: true}
		}
		return verdict{Again: wait}
	case told < patience && i.Stopped.IsZero():
		return verdict{Again: patience - told}
	}
	return verdict{Why: i.noArchive(), Again: patience}
}

// saidOver says that its last report was that it is over.
func (i Instance) saidOver() bool {
	return i.Report != nil && i.Report.End != nil && i.Report.End.Step == stepOver
}

// mayHaveWritten says whether there may be state that is worth a backup. An app that
// takes settings does not start before its instance enrolled; any other may, and what
// reports with a key that is not known here did enrol, as far as anybody knows.
func (i Instance) mayHaveWritten(d Deployment) bool {
	neverAsked := i.Enrolled.IsZero() && !i.Launched.IsZero() && len(d.Plan.Manifest.Env) == 0
	return !i.LiveSince.IsZero() || neverAsked || i.Enrolled.IsZero() && !i.Knocked.IsZero()
}

// noArchive says that a final backup does not come, and what to try.
func (i Instance) noArchive() string {
	const try = "Nothing is taken away until it comes. Look at its log; or give its state up by name, and it is lost."
	switch {
	case !i.Stopped.IsZero():
		return "its machine is off, and its final backup did not come. " + try
	case i.Enrolled.IsZero() && !i.Knocked.IsZero():
		return "it reports with a key that is not known here, as after a restore, and may hold what visitors wrote. " + try
	case i.Enrolled.IsZero():
		return "it never reported, and may hold what visitors wrote. " + try
	case i.Report != nil && i.Report.End != nil && i.Report.End.Detail != "":
		return "its final backup did not come: " + i.Report.End.Detail + ". " + try
	}
	return "its final backup did not come. " + try
}

// DiscardState gives up the state of an instance whose final backup does not come, so
// that it can be taken away. name must be the instance's id.
func (c *Console) DiscardState(ctx context.Context, a Actor, instance, name string) error {
	err := c.store.Update(ctx, func(tx Tx) error {
		i, e, err := c.instanceFor(tx, a, Manage, instance)
		if err != nil {
			return err
		}
		if err := sameName("name", i.ID, name); err != nil {
			return err
		}
		switch {
		case i.Archive != nil:
			return &ConflictError{"its state is archived and verified; there is nothing to give up"}
		case i.State != InstanceEnding && !(i.State.Over() && e.State.Over()):
			return &ConflictError{fmt.Sprintf("%s is %s, and not waiting for its final backup; end its event first", i.ID, i.State)}
		}
		i.Discarded, i.Failure = a.ID, ""
		if i.State == InstanceEnding {
			i.Due = c.now()
		}
		return errors.Join(put(tx, i), c.clearNow(tx, e.ID), c.audit(tx, a, verbDiscard, "event/"+e.ID, "gave up the state of "+i.ID))
	})
	if err == nil {
		c.nudge()
	}
	return err
}

// PurgeEvent removes the archives of an event that is over. name must be its name.
func (c *Console) PurgeEvent(ctx context.Context, a Actor, id, name string) (Event, error) {
	e, err := c.step(ctx, a, id, func(tx Tx, e *Event) error {
		if err := sameName("name", e.Name, name); err != nil {
			return err
		}
		if err := e.may(stepPurge); err != nil {
			return err
		}
		e.PurgeAt = c.now() // from here on it is gone through with, also after a kill
		return c.audit(tx, a, verbPurge, "event/"+e.ID, "purged "+e.Name)
	})
	if err != nil {
		return Event{}, err
	}
	return c.purge(ctx, e.ID)
}

// purge removes the archives of an event whose PurgeAt has come, and then writes down
// that they are gone.
func (c *Console) purge(ctx context.Context, id string) (e Event, err error) {
	var ids []string
	err = c.store.View(ctx, func(tx Tx) error {
		ids = nil
		all, err := instancesOf(tx, id)
		for _, i := range all {
			ids = append(ids, i.ID)
		}
		return err
	})
	if err == nil {
		err = c.removeArchives(ctx, ids...)
	}
	if err != nil {
		return Event{}, fmt.Errorf("purge: %w", err)
	}
	err = c.store.Update(ctx, func(tx Tx) error {
		if e, err = get[Event](tx, id); err != nil || e.State == EventPurged {
			return err
		}
		if err := e.take(stepPurge); err != nil {
			return err
		}
		c.tellState(&e)
		e.Due = e.nextDue()
		return put(tx, e)
	})
	return e, err
}
