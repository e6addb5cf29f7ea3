package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"popup/apps"
)

// The verbs of operations, and of what the audit log says of events.
const (
	verbLaunch  = "launch"
	verbCreate  = "create"
	verbChange  = "change"
	verbFreeze  = "freeze"
	verbThaw    = "thaw"
	verbEnd     = "end"
	verbDiscard = "discard"
	verbPurge   = "purge"
)

// An EventChange is what may be changed of an event. Nil: as it is.
type EventChange struct {
	Title   *string `json:"title,omitempty"`
	Start   *string `json:"start,omitempty"`
	Freeze  *string `json:"freeze,omitempty"`
	End     *string `json:"end,omitempty"` // later is to extend it
	Zone    *string `json:"zone,omitempty"`
	Webhook *string `json:"webhook,omitempty"`
	Cap     *string `json:"cap,omitempty"`   // an amount like 25.50; empty: none
	Owner   *string `json:"owner,omitempty"` // a person's id
}

// event reads an event by its id or its name, for an actor who wants something with it.
func (c *Console) event(tx Tx, a Actor, v Verb, id string) (Event, error) {
	e, err := get[Event](tx, id)
	if errors.Is(err, ErrNotFound) {
		e, err = find[Event](tx, id)
	}
	if err == nil {
		err = authorise(a, v, e.target())
	} else if errors.Is(err, ErrNotFound) {
		err = cmp.Or(authorise(a, See, target{}), err) // as of one that is not theirs to see
	}
	if err != nil {
		return Event{}, err
	}
	return e, nil
}

// Events are those the actor sees, the one that ends next first, and those that are over
// after them, the last that ended first. Those of bakes are left out.
func (c *Console) Events(ctx context.Context, a Actor) (seen []Event, err error) {
	if err := authorise(a, See, target{}); err != nil {
		return nil, err
	}
	err = c.store.View(ctx, func(tx Tx) error {
		all, err := list[Event](tx, Query{})
		seen = slices.DeleteFunc(all, func(e Event) bool { return e.Bakes || authorise(a, See, e.target()) != nil })
		return err
	})
	slices.SortStableFunc(seen, func(x, y Event) int {
		switch over := x.State.Over(); {
		case over && !y.State.Over():
			return 1
		case over:
			return y.EndsAt.Compare(x.EndsAt)
		case y.State.Over():
			return -1
		}
		return x.EndsAt.Compare(y.EndsAt)
	})
	return seen, err
}

// Event finds an event by its id or its name.
func (c *Console) Event(ctx context.Context, a Actor, id string) (e Event, err error) {
	err = c.store.View(ctx, func(tx Tx) error { e, err = c.event(tx, a, See, id); return err })
	return e, err
}

// Deployments are those of an event, in the order they were made.
func (c *Console) Deployments(ctx context.Context, a Actor, event string) (all []Deployment, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, See, event)
		if err != nil {
			return err
		}
		all, err = list[Deployment](tx, Query{Parent: e.ID})
		return err
	})
	return all, err
}

// CreateEvent makes a draft.
func (c *Console) CreateEvent(ctx context.Context, a Actor, r EventRequest) (e Event, err error) {
	if err := authorise(a, Start, target{}); err != nil {
		return Event{}, err
	}
	var w wrong
	if r.ID != "" {
		w.add("id", "the console gives it; leave it out")
	}
	if r.Name == "" && r.Title == "" {
		w.add("title", "say what it is called")
	}
	drafted := c.newEvent(ctx, a, r, apps.Lifetime{}, &w)
	if drafted.Cap != 0 && !c.Charges() {
		w.add("cap", capsNothing)
	}
	if err := w.err(); err != nil {
		return Event{}, err
	}
	err = c.store.Update(ctx, func(tx Tx) (err error) {
		if _, err := get[Event](tx, drafted.ID); err == nil {
			return nil // it was done, and its answer was lost
		}
		e = drafted
		if e.Name, err = freeName(tx, "name", e.Name, r.Name != ""); err != nil {
			return err
		}
		e.Due = e.nextDue()
		return errors.Join(put(tx, e), c.audit(tx, a, verbCreate, "event/"+e.ID, "drafted "+e.Name))
	})
	return e, err
}

// newEvent is a draft of what is asked for; what is wrong is noted.
func (c *Console) newEvent(ctx context.Context, a Actor, r EventRequest, life apps.Lifetime, w *wrong) Event {
	e := Event{ID: newID(12), Name: r.Name, Title: cmp.Or(r.Title, r.Name), State: EventDraft, Owner: a.ID, Webhook: r.Webhook, Created: c.now()}
	w.check("title", checkTitle(e.Title))
	if err := checkName(e.Name); e.Name != "" && err != nil {
		w.add("name", err.Error())
		e.Name = "" // all else is looked at as under a name that it may have
	}
	e.Name = cmp.Or(e.Name, nameOf(e.Title), "event")
	w.check("webhook", c.checkWebhook(ctx, r.Webhook))
	dates{Start: r.Start, Freeze: r.Freeze, End: r.End, Zone: r.Zone, Life: life}.set(&e, c.now(), w)
	e.setCap(r.Cap, w)
	return e
}

// freeName is a name no event ever had: the wish, where somebody insists on it, or one
// that begins with it. Its error is an *InputError of field.
func freeName(tx Tx, field, wish string, insists bool) (string, error) {
	name := wish
	for n := 2; ; n++ {
		_, err := tx.Find(KindEvent, name)
		switch {
		case errors.Is(err, ErrNotFound):
			return name, nil
		case err != nil:
			return "", err
		case insists:
			return "", &InputError{[]FieldError{{field, "an event had this name; take another one, names are never used twice"}}}
		}
		name = wish + "-" + strconv.Itoa(n)
		if n > 50 {
			name = wish + "-" + newID(8)
		}
	}
}

// ChangeEvent changes an event that is not over; its instances are told at their next report.
func (c *Console) ChangeEvent(ctx context.Context, a Actor, id string, change EventChange) (Event, error) {
	var w wrong
	if change.Title != nil {
		if *change.Title == "" {
			w.add("title", "say what it is called")
		}
		w.check("title", checkTitle(*change.Title))
	}
	w.check("webhook", c.checkWebhook(ctx, given(change.Webhook)))
	checked := len(w.fields)
	return c.step(ctx, a, id, func(tx Tx, e *Event) error {
		w.fields = w.fields[:checked]
		if err := e.may(stepChange); err != nil {
			return err
		}
		was := *e
		if err := c.changeEvent(tx, e, change, &w); err != nil {
			return err
		}
		if err := w.err(); err != nil {
			return err
		}
		says := e.changes(was)
		if says == "" {
			return nil
		}
		return errors.Join(c.wantAll(tx, *e), c.audit(tx, a, verbChange, "event/"+e.ID, says))
	})
}

// changeEvent applies a change; what is wrong is noted.
func (c *Console) changeEvent(tx Tx, e *Event, change EventChange, w *wrong) error {
	deployments, err := list[Deployment](tx, Query{Parent: e.ID})
	if err != nil {
		return err
	}
	var offers []offer
	for _, d := range deployments {
		offers = append(offers, offer{Loaded: apps.Loaded{Manifest: apps.Manifest{Lifetime: d.Lifetime}}})
	}
	d := dates{Start: e.Start, Freeze: e.Freeze, End: e.End, Zone: e.Zone, Life: lifetimeOf(offers)}
	if e.State == EventOpen || e.State == EventFrozen {
		d.Begun = e.StartsAt
		if change.Start != nil {
			w.add("start", "it has begun")
		}
	}
	for _, field := range []struct{ of, is *string }{{&d.Start, change.Start}, {&d.Freeze, change.Freeze}, {&d.End, change.End}, {&d.Zone, change.Zone},
		{&e.Title, change.Title}, {&e.Webhook, change.Webhook}, {&e.Owner, change.Owner}} {
		if field.is != nil {
			*field.of = *field.is
		}
	}
	if change.Owner != nil {
		_, err := tx.Get(KindPerson, e.Owner)
		if errors.Is(err, ErrNotFound) {
			w.add("owner", "there is no such person")
			err = nil
		}
		if err != nil {
			return err
		}
	}
	if change.Start != nil || change.Freeze != nil || change.End != nil || change.Zone != nil {
		d.set(e, c.now(), w)
	}
	return c.changeCap(tx, e, change.Cap, w)
}

// changes says what is different from before; empty: nothing.
func (e Event) changes(was Event) string {
	var says []string
	for _, field := range []struct{ name, was, is string }{{"title", was.Title, e.Title}, {"start", was.Start, e.Start}, {"freeze", was.Freeze, e.Freeze},
		{"end", was.End, e.End}, {"zone", was.Zone, e.Zone}, {"owner", was.Owner, e.Owner}, {"cap", amountOf(was.Cap), amountOf(e.Cap)}} {
		if field.was != field.is {
			says = append(says, fmt.Sprintf("%s: %q instead of %q", field.name, field.is, field.was))
		}
	}
	if was.Webhook != e.Webhook {
		says = append(says, "another webhook") // its address may be a secret
	}
	return strings.Join(says, ", ")
}

// FreezeEvent refuses writes in all its apps, until ThawEvent or the end.
func (c *Console) FreezeEvent(ctx context.Context, a Actor, id string) (Event, error) {
	return c.hold(ctx, a, id, heldFrozen)
}

// ThawEvent lets a frozen event go on.
func (c *Console) ThawEvent(ctx context.Context, a Actor, id string) (Event, error) {
	return c.hold(ctx, a, id, heldOpen)
}

func (c *Console) hold(ctx context.Context, a Actor, id, held string) (Event, error) {
	return c.step(ctx, a, id, func(tx Tx, e *Event) error {
		to, verb, says := stepFreeze, verbFreeze, "froze "
		if held == heldOpen {
			to, verb, says = stepThaw, verbThaw, "let go on "
		}
		e.Held = held
		return errors.Join(c.turn(tx, e, to), c.audit(tx, a, verb, "event/"+e.ID, says+e.Name))
	})
}

// step has fn change an event that the actor manages, and its due date follow.
func (c *Console) step(ctx context.Context, a Actor, id string, fn func(Tx, *Event) error) (e Event, err error) {
	err = c.store.Update(ctx, func(tx Tx) error {
		if e, err = c.event(tx, a, Manage, id); err != nil {
			return err
		}
		if err := fn(tx, &e); err != nil {
			return err
		}
		if err := c.advance(tx, &e); err != nil {
			return err
		}
		e.Due = e.nextDue()
		return put(tx, e)
	})
	if err != nil {
		return Event{}, err
	}
	c.nudge()
	return e, nil
}

// EndEvent ends it now. name must be the event's name: so nobody ends one by mistake.
func (c *Console) EndEvent(ctx context.Context, a Actor, id, name string) (o Operation, err error) {
	o = Operation{ID: newID(16), Verb: verbEnd, By: a.ID, Created: c.now()}
	_, err = c.step(ctx, a, id, func(tx Tx, e *Event) error {
		if err := sameName("name", e.Name, name); err != nil {
			return err
		}
		return errors.Join(c.end(tx, e, &o), c.audit(tx, a, verbEnd, "event/"+e.ID, "ended "+e.Name))
	})
	if err != nil {
		return Operation{}, err
	}
	return o, nil
}

// sameName says whether somebody typed what they are about to end.
func sameName(field, is, typed string) error {
	if is != typed {
		return &InputError{[]FieldError{{field, fmt.Sprintf("type %s to say that this is the one", is)}}}
	}
	return nil
}
