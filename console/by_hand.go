package console

import (
	"context"
	"errors"
	"fmt"
)

// byHand is the cloud of an instance whose machine a person starts and turns off; nil:
// no person does.
func (c *Console) byHand(i Instance) ByHand {
	hand, _ := c.opts.Clouds[i.Cloud].(ByHand)
	return hand
}

// A Handwork is what a person is to do for an instance.
type Handwork struct {
	Paste   bool // start a machine with its user-data
	Confirm bool // say that its machine is turned off, once it is
	// Replace and Snapshot are what somebody may do: have its machine replaced, and the
	// disks of the old one kept.
	Replace, Snapshot bool
}

// handwork says what a person is to do, or may.
func (c *Console) handwork(i Instance, d Deployment, e Event) (h Handwork) {
	if hand := c.byHand(i); hand != nil && !i.State.Over() && i.Machine != "" {
		h.Paste, h.Confirm = i.Enrolled.IsZero() && i.State != InstanceEnding, true
	}
	_, keeps := c.opts.Clouds[i.Cloud].(VolumeKeeper)
	h.Replace = c.mayReplace(i, d, e, false) == nil
	h.Snapshot = h.Replace && keeps
	return h
}

// errNoHand is of an instance whose cloud does by itself what persons are asked for elsewhere.
var errNoHand = &ConflictError{"its cloud starts and ends its machines by itself; there is nothing to be done by hand"}

// Paste returns the user-data that somebody is to start an instance's machine with. It
// holds the token that enrols it, and it is in the audit log that it was handed out.
// Errors: ErrNotFound, ErrForbidden, *ConflictError.
func (c *Console) Paste(ctx context.Context, a Actor, instance string) (text []byte, err error) {
	var i Instance
	err = c.store.Update(ctx, func(tx Tx) (err error) {
		if i, _, err = c.instanceFor(tx, a, Manage, instance); err != nil {
			return err
		}
		switch work := c.handwork(i, Deployment{}, Event{}); {
		case c.byHand(i) == nil:
			return errNoHand
		case !work.Paste && !i.Enrolled.IsZero():
			return &ConflictError{fmt.Sprintf("a machine enrolled as %s already, and no other can; launch another one", i.ID)}
		case !work.Paste:
			return &ConflictError{fmt.Sprintf("%s is %s, and no machine is wanted for it now", i.ID, i.State)}
		}
		return c.audit(tx, a, "show user-data", "instance/"+i.ID, "with the token that enrols it once")
	})
	if err != nil {
		return nil, err
	}
	if text, err = c.byHand(i).Paste(ctx, i.ID); err != nil {
		return nil, fmt.Errorf("show the user-data of %s: %w", i.ID, err)
	}
	return text, nil
}

// ConfirmOff says that the machine of an instance, which a person started, is turned off.
// What is known of it stays until its state is archived, or given up by name. Errors:
// ErrNotFound, ErrForbidden, *ConflictError.
func (c *Console) ConfirmOff(ctx context.Context, a Actor, instance string) error {
	var i Instance
	err := c.store.Update(ctx, func(tx Tx) (err error) {
		if i, _, err = c.instanceFor(tx, a, Manage, instance); err != nil {
			return err
		}
		switch {
		case c.byHand(i) == nil:
			return errNoHand
		case i.State.Over():
			return ErrOver
		}
		return c.audit(tx, a, "confirm off", "instance/"+i.ID, "said that its machine is turned off")
	})
	if err != nil {
		return err
	}
	if err := c.byHand(i).Confirm(ctx, i.ID); err != nil {
		return fmt.Errorf("note that the machine of %s is off: %w", i.ID, err)
	}
	_, err = c.turnInstance(ctx, i.ID, func(s *subject) {
		if s.State.Over() {
			return
		}
		if s.has(Machine{ID: s.Machine, State: MachineStopped}, c.now()); s.State == InstanceEnding {
			s.Due = c.now()
		}
	})
	c.nudge()
	return err
}

// confirmOver says by itself that a machine is turned off whose last word was that it is
// over: it turned itself off.
func (r *reconciler) confirmOver(ctx context.Context, s subject) error {
	if !s.saidOver() {
		return nil
	}
	cloud, err := r.cloud(ctx, s.Cloud)
	if err != nil {
		return err
	}
	hand, is := cloud.(ByHand)
	if !is {
		return nil
	}
	if err := hand.Confirm(ctx, s.ID); err != nil && !errors.Is(err, ErrNotFound) {
		return fmt.Errorf("note that it is off: %w", err)
	}
	return nil
}
