package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// stepClearing looks at what clouds hold of an event, and removes what may go.
func (r *reconciler) stepClearing(ctx context.Context, id string) error {
	var k clearer
	if err := r.c.store.View(ctx, func(tx Tx) (err error) { k, err = r.clearer(tx, id); return err }); err != nil {
		return fmt.Errorf("clear event %s: %w", id, err)
	}
	if k.State == ClearingDone {
		return nil
	}
	k.lookAll(ctx)
	if k.State != ClearingWaits {
		k.removeAll(ctx)
	}
	if ctx.Err() != nil {
		return nil // told to stop; the next start does it again
	}
	err := r.c.store.Update(ctx, func(tx Tx) error {
		is, err := get[Clearing](tx, id)
		if err != nil {
			return err
		}
		was := is.State
		if is.take(k.Clearing, r.c.now()); is.State != was && is.State != ClearingRuns {
			err = r.c.audit(tx, System, "clear", "event/"+id, is.sum())
		}
		return errors.Join(err, put(tx, is), r.c.look(tx, id))
	})
	if err != nil {
		return fmt.Errorf("clear event %s: %w", id, err)
	}
	return nil
}

// take takes in what one look came to.
func (g *Clearing) take(found Clearing, now time.Time) {
	for k, t := range found.Things {
		if was := slices.IndexFunc(g.Things, t.same); was >= 0 { // somebody may have said so meanwhile
			found.Things[k].Dismissed = g.Things[was].Dismissed
		}
	}
	g.Things, g.Failure, g.Looked = found.Things, found.Failure, found.Looked
	g.Tries++
	switch {
	case g.State == ClearingWaits && found.State == ClearingWaits:
		g.Due = time.Time{}
		if g.Failure != "" {
			g.Due = now.Add(pauseAfter(g.Tries))
		}
	case g.State == ClearingWaits || found.State == ClearingWaits: // its last instance went meanwhile
		g.Due = now
	case !g.open():
		g.State, g.Due = ClearingDone, time.Time{}
	case g.State == ClearingRuns && now.Sub(g.Began) < clearFor:
		g.Due = now.Add(pauseAfter(g.Tries))
	default:
		g.State, g.Due = ClearingLeft, now.Add(clearAgain)
	}
}

// sum says in a sentence what became of all.
func (g Clearing) sum() string {
	gone, left := 0, []string{}
	for _, t := range g.Things {
		if t.Gone.IsZero() {
			left = append(left, string(t.Kind)+" "+t.ID)
		} else {
			gone++
		}
	}
	says := fmt.Sprintf("%d of %d things beside its instances are proven gone", gone, len(g.Things))
	if len(left) > 0 {
		says += "; left behind: " + strings.Join(left, ", ")
	}
	return cut(sentences(says, g.Failure), mostTag)
}

// A clearer is one look at what there is of an event.
type clearer struct {
	Clearing
	r           *reconciler
	event       Event
	deployments map[string]Deployment
	instances   map[string][]Instance // by their deployment, the newest first
}

func (r *reconciler) clearer(tx Tx, id string) (k clearer, err error) {
	k = clearer{r: r, deployments: map[string]Deployment{}, instances: map[string][]Instance{}}
	if k.Clearing, err = get[Clearing](tx, id); err != nil {
		return k, err
	}
	if k.event, err = get[Event](tx, id); err != nil {
		return k, err
	}
	all, err := list[Deployment](tx, Query{Parent: id})
	for n := 0; n < len(all) && err == nil; n++ {
		k.deployments[all[n].ID] = all[n]
		k.instances[all[n].ID], err = instancesIn(tx, all[n])
		slices.Reverse(k.instances[all[n].ID])
	}
	return k, err
}

// lookAll asks each cloud of the event what it has of it.
func (k *clearer) lookAll(ctx context.Context) {
	clouds := map[string]bool{}
	for _, d := range k.deployments {
		clouds[d.Cloud] = true
	}
	var wrong []string
	for _, name := range slices.Sorted(maps.Keys(clouds)) {
		if err := k.look(ctx, name); err != nil {
			wrong = append(wrong, fmt.Sprintf("What %s has of it could not be told: %s", name, plain(err)))
		}
	}
	if k.Failure = strings.Join(wrong, " "); k.Failure == "" {
		k.Looked = k.r.c.now()
	}
}

func (k *clearer) look(ctx context.Context, name string) error {
	cloud, err := k.r.cloud(ctx, name)
	if err != nil {
		return err
	}
	holder, holds := cloud.(Holder)
	if !holds {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	held, err := holder.Held(ctx, k.Event)
	if err != nil {
		return err
	}
	listed := map[int]bool{}
	for _, t := range held {
		is := LeftThing{Thing: t, Cloud: name}
		n := slices.IndexFunc(k.Things, is.same)
		if n < 0 {
			n = len(k.Things)
			k.Things = append(k.Things, is)
		}
		k.Things[n].Thing, k.Things[n].Gone, listed[n] = t, time.Time{}, true
	}
	for n := range k.Things {
		if t := &k.Things[n]; t.Cloud == name && !listed[n] && t.Gone.IsZero() {
			t.Gone, t.Why, t.Holds = k.r.c.now(), "", ""
		}
	}
	return nil
}

// removalOrder is that of what is in each other's way.
var removalOrder = []ThingKind{ThingMachine, ThingAddress, ThingVolume, ThingSnapshot, ThingGroup}

// removeAll removes what may go, and says of the rest why not.
func (k *clearer) removeAll(ctx context.Context) {
	slices.SortStableFunc(k.Things, func(a, b LeftThing) int {
		return cmp.Compare(slices.Index(removalOrder, a.Kind), slices.Index(removalOrder, b.Kind))
	})
	for n := range k.Things {
		t := &k.Things[n]
		if !t.open() || ctx.Err() != nil {
			continue
		}
		if t.Why, t.Holds = k.keeps(t.Thing); t.Why != "" {
			continue
		}
		if err := k.remove(ctx, *t); err != nil {
			t.Why = plain(err)
			continue
		}
		t.Gone = k.r.c.now()
	}
}

func (k *clearer) remove(ctx context.Context, t LeftThing) error {
	if t.Kind == ThingMachine {
		return k.r.takeAway(ctx, t.Cloud, t.Instance)
	}
	cloud, err := k.r.cloud(ctx, t.Cloud)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, clearTimeout)
	defer cancel()
	return cloud.(Holder).Remove(ctx, t.Thing) // it was asked what it holds a moment ago
}

// keeps says why a thing may not be removed, and the instance whose state is in the way;
// empty: it may.
func (k *clearer) keeps(t Thing) (why, holds string) {
	d, known := k.deployments[t.Deployment]
	all := k.instances[t.Deployment]
	of := slices.IndexFunc(all, func(i Instance) bool { return i.ID == t.Instance })
	switch t.Kind {
	case ThingMachine:
		switch {
		case of < 0:
			return "no instance of this console's is known to have it: its store may have been put back to an earlier state. Look at it in its cloud's own console, and end it there.", ""
		case !(subject{Instance: all[of], deployment: d}).unwanted():
			return "its instance is " + string(all[of].State) + ", and is ended first.", ""
		}
	case ThingVolume, ThingSnapshot:
		switch {
		case !known:
			return "it is of no app that this console knows of, and may hold what visitors wrote. Look at it in its cloud's own console, and remove it there.", ""
		case of >= 0 && d.Volume == nil:
			all = all[of : of+1] // a disk of one machine
		case d.Volume != nil && t.Kind == ThingVolume && t.ID != d.Volume.ID:
			all = nil // what is written is on another
		}
		if i := unparted(d, all); i != "" {
			return "it may hold what visitors wrote on " + i + ", whose final backup never came. Give that up by name, and it goes too.", i
		}
	}
	return "", ""
}

// unparted is the instance whose state is neither archived and verified nor given up,
// though it wrote some; empty: none is. They are the newest first.
func unparted(d Deployment, all []Instance) string {
	for _, i := range all {
		switch parted := i.Archive != nil || i.Discarded != ""; {
		case !d.HasState(), parted && d.Volume != nil: // those before it wrote on the same volume
			return ""
		case !parted && i.mayHaveWritten(d):
			return i.ID
		}
	}
	return ""
}
