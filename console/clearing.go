package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// KindClearing is of clearings.
const KindClearing Kind = "clearing"

// A ClearingState is how far a clearing is.
type ClearingState string

// The states of a clearing.
const (
	ClearingWaits ClearingState = "waiting" // instances are there still; it is known what else is
	ClearingRuns  ClearingState = "running"
	ClearingLeft  ClearingState = "left" // what is there yet is named as left behind, and tried again
	ClearingDone  ClearingState = "done"
)

const (
	// clearFor is how long an event that is over waits for all that was made for it to be gone.
	clearFor = time.Hour
	// clearAgain is when what was left behind is tried again.
	clearAgain = time.Hour
	// clearTimeout bounds one look at a cloud, and the removal of one thing.
	clearTimeout = 2 * time.Minute
)

// A Clearing is what clouds hold of an event that is over beside what its instances tell,
// and how far it is removed. There is none where no cloud makes more than machines.
type Clearing struct {
	Event  string        `json:"event"` // an id
	State  ClearingState `json:"state"`
	Things []LeftThing   `json:"things,omitempty"`
	Began  time.Time     `json:"began,omitzero"` // when the last instance was over
	Tries  int           `json:"tries,omitempty"`
	Looked time.Time     `json:"looked,omitzero"` // when all clouds last said what there is
	// Failure is why a cloud could not be asked: a sentence. Empty: all were.
	Failure string    `json:"failure,omitempty"`
	Due     time.Time `json:"due,omitzero"`
}

func (g Clearing) record() Record {
	return Record{Kind: KindClearing, ID: g.Event, Parent: g.Event, Topic: g.Event, State: string(g.State), Due: g.Due}
}

// A LeftThing is something a cloud made for an event, and what became of it.
type LeftThing struct {
	Thing
	Cloud string    `json:"cloud"`
	Gone  time.Time `json:"gone,omitzero"` // proven gone; zero: it is there
	// Why it is there still, and what to try: a sentence.
	Why string `json:"why,omitempty"`
	// Holds is the instance whose state it may hold, which nobody gave up; empty: none.
	Holds string `json:"holds,omitempty"`
	// Dismissed is who said that it may stay, an actor's id; empty: nobody did.
	Dismissed string `json:"dismissed,omitempty"`
}

// open says that something is to become of a thing yet.
func (t LeftThing) open() bool { return t.Gone.IsZero() && t.Dismissed == "" }

func (t LeftThing) same(o LeftThing) bool {
	return t.Cloud == o.Cloud && t.Kind == o.Kind && t.ID == o.ID && t.Place == o.Place
}

func (g Clearing) open() bool {
	return g.Failure != "" || slices.ContainsFunc(g.Things, LeftThing.open)
}

// stuck says why an event's clearing does not get on; empty: it does.
func (g Clearing) stuck() string {
	const patient = 3 // tries after which what is in the way is more than a moment's
	if g.State != ClearingRuns || g.Tries < patient {
		return ""
	}
	for _, t := range g.Things {
		if t.open() && t.Why != "" {
			return fmt.Sprintf("The %s %s is there still: %s", t.Kind, t.ID, t.Why)
		}
	}
	return g.Failure
}

// clears says whether all that clouds made for an event that ended is gone, or named as
// left behind; and else why that does not get on. over says that its instances are.
func (c *Console) clears(tx Tx, e Event, over bool) (done bool, stuck string, err error) {
	g, err := get[Clearing](tx, e.ID)
	if errors.Is(err, ErrNotFound) {
		if holds, err := c.holds(tx, e); err != nil || !holds {
			return err == nil, "", err
		}
		g, err = Clearing{Event: e.ID, State: ClearingWaits, Due: c.now()}, nil
	}
	if err != nil {
		return false, "", err
	}
	if over && g.State == ClearingWaits {
		g.State, g.Began, g.Tries, g.Due = ClearingRuns, c.now(), 0, c.now()
	}
	return g.State == ClearingDone || g.State == ClearingLeft, g.stuck(), put(tx, g)
}

// holds says whether a cloud makes more for an event than its machines. One that is not
// there any more may have.
func (c *Console) holds(tx Tx, e Event) (bool, error) {
	deployments, err := list[Deployment](tx, Query{Parent: e.ID})
	return slices.ContainsFunc(deployments, func(d Deployment) bool {
		cloud, there := c.opts.Clouds[d.Cloud]
		_, holds := cloud.(Holder)
		return holds || !there
	}), err
}

// clearNow has what is left of an event looked at again, if anything is.
func (c *Console) clearNow(tx Tx, event string) error {
	g, err := get[Clearing](tx, event)
	if errors.Is(err, ErrNotFound) || err == nil && g.State == ClearingDone {
		return nil
	}
	if err != nil {
		return err
	}
	g.Due = c.now()
	return put(tx, g)
}

// DismissThing says that a thing that was left behind may stay: it is not tried any more,
// and the receipt says who said so. id is the cloud's name for it. Its errors: *InputError,
// ErrNotFound where nothing was made for the event, ErrForbidden, *ConflictError.
func (c *Console) DismissThing(ctx context.Context, a Actor, event, id string) error {
	err := c.store.Update(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, Manage, event)
		if err != nil {
			return err
		}
		g, err := get[Clearing](tx, e.ID)
		if err != nil {
			return err
		}
		k := slices.IndexFunc(g.Things, func(t LeftThing) bool { return t.ID == id })
		switch {
		case k < 0:
			return &InputError{[]FieldError{{"name", fmt.Sprintf("nothing that is called %q was made for this event", cut(id, 60))}}}
		case g.State != ClearingLeft:
			return &ConflictError{fmt.Sprintf("%s is not given up yet; wait until it is gone, or named as left behind", id)}
		case !g.Things[k].open():
			return nil
		}
		g.Things[k].Dismissed = cmp.Or(a.ID, string(a.Kind))
		if !g.open() {
			g.State, g.Due = ClearingDone, time.Time{}
		}
		return errors.Join(put(tx, g), c.audit(tx, a, "dismiss", "event/"+e.ID, fmt.Sprintf("left the %s %s behind", g.Things[k].Kind, id)), c.look(tx, e.ID))
	})
	if err == nil {
		c.nudge()
	}
	return err
}
