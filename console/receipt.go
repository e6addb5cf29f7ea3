package console

import (
	"context"
	"fmt"
)

// A Receipt says what became of everything that was made for an event.
type Receipt struct {
	Event     Event
	Instances []ReceiptLine
}

// A ReceiptLine is one instance of a receipt.
type ReceiptLine struct {
	Instance Instance
	Title    string // of its deployment
	Gone     bool   // proven gone
	State    string // a sentence: archived and verified, had none, discarded by …
}

// Receipt tells, for an event that ended, how far that is.
func (c *Console) Receipt(ctx context.Context, a Actor, event string) (r Receipt, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		r = Receipt{}
		if r.Event, err = c.event(tx, a, See, event); err != nil {
			return err
		}
		deployments, err := list[Deployment](tx, Query{Parent: r.Event.ID})
		if err != nil {
			return err
		}
		for _, d := range deployments {
			some, err := instancesIn(tx, d)
			if err != nil {
				return err
			}
			for _, i := range some {
				line := ReceiptLine{Instance: i.shown(), Title: d.Title, Gone: i.State.Over(), State: i.stateBecame(d, r.Event)}
				r.Instances = append(r.Instances, line)
			}
		}
		return nil
	})
	return r, err
}

// stateBecame says in a sentence what became of an instance's state.
func (i Instance) stateBecame(d Deployment, e Event) string {
	switch {
	case !d.HasState():
		return "This app keeps nothing that visitors write."
	case i.Archive != nil && e.State == EventPurged:
		return fmt.Sprintf("It was archived as %s, and removed.", i.Archive.Name)
	case i.Archive != nil:
		return fmt.Sprintf("Archived as %s, read back and verified.", i.Archive.Name)
	case i.Discarded != "":
		return "Given up by name, and lost."
	case i.State == InstanceLost:
		return "Its machine went away before its final backup came. What it had sent before is kept."
	case !i.State.Over():
		return "Not archived yet."
	}
	return "It was never live: nothing was written, and nothing is archived."
}
