package console

import (
	"errors"

	"popup/internal/wire"
)

// heard takes what a report says into an instance, in the transaction that keeps the
// report; who called it writes the instance. It is for reports with news, before
// i.Report is replaced.
func (c *Console) heard(tx Tx, i *Instance, r *wire.Report) error {
	was, now := i.State, c.now()
	if r.Live && i.LiveSince.IsZero() {
		i.LiveSince = now
	}
	if r.Live && (i.State == InstanceLaunching || i.State == InstanceStarting) {
		i.State, i.Failure = InstanceLive, ""
		if c.protects(*i) {
			i.Due = now // until it is done
		}
	}
	if u, err := parseAddress(r.URL); err == nil && i.Address == "" {
		i.Address = u.String() // its cloud did not know
	}
	over := r.End != nil && r.End.Step == stepOver
	if over && (i.State == InstanceStarting || i.State == InstanceLive) {
		i.State, i.Ended = InstanceEnding, now // by its own clock
	}
	if over && i.Archive == nil && r.End.Archive != "" {
		if err := c.lastWord(tx, i, r.End.Archive); err != nil {
			return err
		}
	}
	if i.State == InstanceEnding && (over || was != i.State) {
		i.Due = now
	}
	if was == i.State {
		return nil
	}
	return c.look(tx, i.Event)
}

// lastWord takes the archive with which an instance says that it is over for its final one.
func (c *Console) lastWord(tx Tx, i *Instance, name string) error {
	a, err := get[Archive](tx, archiveID(i.ID, name))
	if errors.Is(err, ErrNotFound) {
		return c.keptElsewhere(tx, i, name)
	}
	if err == nil {
		c.archived(i, a)
	}
	return err
}

// stepOver is how an instance says that it is over; see wire.Ending.
const stepOver = "over"

// archived takes in that an instance's final backup is in the vault and verified; who
// called it writes the instance.
func (c *Console) archived(i *Instance, a Archive) {
	if !a.Final {
		return
	}
	i.Archive = &a
	if i.State == InstanceEnding {
		i.Due = c.now()
	}
}

// look has the reconciler look at an event once the transaction is committed.
func (c *Console) look(tx Tx, event string) error {
	e, err := get[Event](tx, event)
	if err != nil {
		return err
	}
	e.Due = c.now()
	return put(tx, e)
}
