package console

import (
	"context"
	"fmt"
)

// A PublicEvent is what anybody may know of an event, by its name.
type PublicEvent struct {
	Event Event // without owner and webhook
	Apps  []PublicApp
	// Reminder is what its page says as the end comes near; empty: nothing.
	Reminder string
}

// A PublicApp is an app of a PublicEvent.
type PublicApp struct {
	Title   string
	Address string // empty: it is not up yet
	Live    bool
	Says    string // a sentence on how it is
}

// PublicEvent is the page that is handed out; drafts and purged events have none.
func (c *Console) PublicEvent(ctx context.Context, name string) (p PublicEvent, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		e, err := find[Event](tx, name)
		if err == nil && (e.State == EventDraft || e.State == EventPurged || e.Bakes) {
			err = ErrNotFound
		}
		if err != nil {
			return err
		}
		p = PublicEvent{Event: e.public(), Reminder: e.Reminder(c.now())}
		deployments, err := list[Deployment](tx, Query{Parent: e.ID})
		if err != nil {
			return err
		}
		for _, d := range deployments {
			some, err := instancesIn(tx, d)
			if err != nil {
				return err
			}
			p.Apps = append(p.Apps, publicApps(e, d, some)...)
		}
		return nil
	})
	return p, err
}

// public is an event without what is its owner's alone.
func (e Event) public() Event {
	return Event{ID: e.ID, Name: e.Name, Title: e.Title, State: e.State, End: e.End, Zone: e.Zone, Start: e.Start, Freeze: e.Freeze,
		StartsAt: e.StartsAt, FreezesAt: e.FreezesAt, EndsAt: e.EndsAt, EndedAt: e.EndedAt}
}

// publicApps are the instances of a deployment that a visitor may be sent to. One that is
// lost or failed is left out where another took its place.
func publicApps(e Event, d Deployment, all []Instance) (shown []PublicApp) {
	for _, i := range all {
		app := PublicApp{Title: d.Title}
		if d.Count > 1 {
			app.Title = fmt.Sprintf("%s %d", d.Title, i.Number)
		}
		switch {
		case e.State.Over():
			app.Says = "It is over."
		case i.State.Over() && len(all) > 1:
			continue
		case i.State.Over():
			app.Says = "It is not there any more."
		case i.State == InstanceEnding:
			app.Says = "It is over."
		case e.State == EventScheduled:
			app.Says = "It opens with the event."
		case i.State != InstanceLive:
			app.Says = "It is being started."
		case i.Report != nil && !i.Report.Live:
			app.Address, app.Says = i.Address, "It is being started again."
		default:
			app.Address, app.Live, app.Says = i.Address, true, "It is open."
			if i.Wanted.ReadOnly {
				app.Says = "It can be read, and takes nothing new any more."
			}
		}
		shown = append(shown, app)
	}
	return shown
}
