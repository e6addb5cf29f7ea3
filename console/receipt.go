package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
)

// A Receipt says what became of everything that was made for an event.
type Receipt struct {
	Event     Event
	Instances []ReceiptLine
	// Things are what clouds made beside the machines of Instances, by kind.
	Things []ReceiptThing
	// Unknown is why a cloud could not say what there is; empty: all could.
	Unknown string
}

// A ReceiptThing is a volume, an address, a security group, a snapshot; or a machine that
// no instance has.
type ReceiptThing struct {
	LeftThing
	Title string // of its deployment; empty: it is of none
	Left  bool   // it is named as left behind
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
		titles := map[string]string{}
		for _, d := range deployments {
			titles[d.ID] = d.Title
			some, err := instancesIn(tx, d)
			if err != nil {
				return err
			}
			for _, i := range some {
				line := ReceiptLine{Instance: i.shown(), Title: d.Title, Gone: i.State.Over(), State: i.stateBecame(d, r.Event)}
				r.Instances = append(r.Instances, line)
			}
		}
		return r.things(tx, titles)
	})
	return r, err
}

// things tells what became of all that is no instance's machine.
func (r *Receipt) things(tx Tx, titles map[string]string) error {
	g, err := get[Clearing](tx, r.Event.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if r.Unknown = g.Failure; g.State == ClearingWaits {
		r.Unknown = ""
	}
	for _, t := range g.Things {
		told := slices.ContainsFunc(r.Instances, func(l ReceiptLine) bool { return l.Instance.ID == t.Instance })
		if t.Kind == ThingMachine && told && t.Why == "" {
			continue
		}
		r.Things = append(r.Things, ReceiptThing{t, titles[t.Deployment], t.Gone.IsZero() && (g.State == ClearingLeft || t.Dismissed != "")})
	}
	slices.SortStableFunc(r.Things, func(a, b ReceiptThing) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.ID, b.ID))
	})
	return err
}

// stateBecame says in a sentence what became of an instance's state.
func (i Instance) stateBecame(d Deployment, e Event) string {
	switch {
	case !d.HasState():
		return "This app keeps nothing that visitors write."
	case i.Archive != nil && i.Archive.Vault != "":
		return fmt.Sprintf("Archived in %s as %s, encrypted, and read back, as the machine said when it was over.", i.Archive.Vault, i.Archive.Name)
	case i.Archive != nil && e.State == EventPurged:
		return fmt.Sprintf("It was archived as %s, and removed.", i.Archive.Name)
	case i.Archive != nil:
		return fmt.Sprintf("Archived as %s, read back and verified.", i.Archive.Name)
	case i.Discarded != "":
		return "Given up by name, and lost."
	case i.ReplacedBy != "":
		return fmt.Sprintf("What it wrote is on a volume, which %s went on with.", i.ReplacedBy)
	case i.State == InstanceLost:
		return "Its machine went away before its final backup came. What it had sent before is kept."
	case !i.State.Over():
		return "Not archived yet."
	}
	return "It was never live: nothing was written, and nothing is archived."
}
