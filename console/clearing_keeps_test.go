package console

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestKeeps is the table of what may be removed of an event whose instances are over.
func TestKeeps(t *testing.T) {
	withState, without, _ := deploymentsForTests(t)
	withState.ID, without.ID = "book", "board"
	onVolume := withState
	onVolume.ID, onVolume.Volume = "moved", &Volume{ID: "vol-state"}
	wrote := Instance{ID: "wrote", State: InstanceLost, Enrolled: aDay, LiveSince: aDay}
	with := func(id string, change func(*Instance)) Instance { i := wrote; i.ID = id; change(&i); return i }
	archived := with("archived", func(i *Instance) { i.State, i.Archive = InstanceGone, &Archive{Verified: aDay} })
	discarded := with("discarded", func(i *Instance) { i.Discarded = "olga" })
	never := with("never", func(i *Instance) { i.State, i.LiveSince = InstanceGone, time.Time{} })
	for name, c := range map[string]struct {
		d     Deployment
		all   []Instance // the newest first
		t     Thing
		says  string // empty: it may go
		holds string
	}{
		"a group":                                {withState, []Instance{wrote}, Thing{Kind: ThingGroup}, "", ""},
		"an address":                             {withState, []Instance{wrote}, Thing{Kind: ThingAddress, Instance: "wrote"}, "", ""},
		"no state":                               {without, []Instance{wrote}, Thing{Kind: ThingVolume, Instance: "wrote"}, "", ""},
		"archived":                               {withState, []Instance{archived}, Thing{Kind: ThingVolume, Instance: "archived"}, "", ""},
		"given up":                               {withState, []Instance{discarded}, Thing{Kind: ThingSnapshot, Instance: "discarded"}, "", ""},
		"never live":                             {withState, []Instance{never}, Thing{Kind: ThingVolume, Instance: "never"}, "", ""},
		"neither":                                {withState, []Instance{wrote}, Thing{Kind: ThingVolume, Instance: "wrote"}, "may hold what visitors wrote on wrote", "wrote"},
		"its snapshot":                           {withState, []Instance{wrote}, Thing{Kind: ThingSnapshot}, "may hold what visitors wrote on wrote", "wrote"},
		"of one that is archived beside another": {withState, []Instance{wrote, archived}, Thing{Kind: ThingVolume, Instance: "archived"}, "", ""},
		"of nobody knows which":                  {withState, []Instance{archived, wrote}, Thing{Kind: ThingVolume}, "may hold what visitors wrote on wrote", "wrote"},
		"an app nobody knows":                    {withState, nil, Thing{Kind: ThingVolume, Deployment: "other"}, "no app that this console knows of", ""},
		"a volume, archived at last":             {onVolume, []Instance{archived, wrote}, Thing{Kind: ThingVolume, ID: "vol-state", Instance: "wrote"}, "", ""},
		"a volume, never live at last":           {onVolume, []Instance{never, wrote}, Thing{Kind: ThingVolume, ID: "vol-state"}, "may hold what visitors wrote on wrote", "wrote"},
		"a volume, lost at last":                 {onVolume, []Instance{wrote, archived}, Thing{Kind: ThingVolume, ID: "vol-state"}, "may hold what visitors wrote on wrote", "wrote"},
		"the disk beside a volume":               {onVolume, []Instance{wrote}, Thing{Kind: ThingVolume, ID: "vol-root", Instance: "wrote"}, "", ""},
		"the snapshot of a volume":               {onVolume, []Instance{wrote}, Thing{Kind: ThingSnapshot, ID: "snap-1", Instance: "wrote"}, "may hold what visitors wrote on wrote", "wrote"},
		"a machine":                              {withState, []Instance{archived}, Thing{Kind: ThingMachine, Instance: "archived"}, "", ""},
		"a machine that is wanted back":          {withState, []Instance{wrote}, Thing{Kind: ThingMachine, Instance: "wrote"}, "is ended first", ""},
		"a machine that was given up":            {withState, []Instance{discarded}, Thing{Kind: ThingMachine, Instance: "discarded"}, "", ""},
		"a machine nobody knows":                 {withState, []Instance{archived}, Thing{Kind: ThingMachine, Instance: "other"}, "no instance of this console's", ""},
	} {
		k := clearer{deployments: map[string]Deployment{c.d.ID: c.d}, instances: map[string][]Instance{c.d.ID: c.all}}
		if c.t.Deployment == "" {
			c.t.Deployment = c.d.ID
		}
		why, holds := k.keeps(c.t)
		if (why == "") != (c.says == "") || !strings.Contains(why, c.says) || holds != c.holds {
			t.Errorf("%s: %q, holds %q; want %q, %q", name, why, holds, c.says, c.holds)
		}
	}
}

// TestVolumeOfWhatIsLost stays, named, until what is on it is given up by name.
func TestVolumeOfWhatIsLost(t *testing.T) {
	l, f := newHolding(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	f.makes(e.ID, Thing{Kind: ThingVolume, ID: "vol-1", Deployment: all[0].Deployment, Instance: id})
	l.reports(t, id, live)
	f.change(func(f *fakeCloud) { clear(f.machines) })
	l.polls(t, 4)
	checkState(t, "its machine went away", stored[Instance](t, l.testConsole, id).State, InstanceLost)
	l.clock.advance(time.Second)
	if err := l.DiscardState(t.Context(), anOwner, id, id); !errors.As(err, new(*ConflictError)) {
		t.Errorf("given up while its event goes on: %v", err)
	}
	e = l.ends(t, e)
	for range 20 {
		l.later(t, longestPause)
	}
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	if thing := l.receipt(t, e)["vol-1"]; !thing.Left || thing.Holds != id || !slices.Equal(f.left(), []string{"vol-1"}) || len(f.asked) != 0 {
		t.Fatalf("the receipt says %+v, and %v were removed", thing, f.asked)
	}
	if err := l.DiscardState(t.Context(), anOwner, id, id); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if thing := l.receipt(t, e)["vol-1"]; thing.Left || thing.Gone.IsZero() || len(f.left()) != 0 {
		t.Errorf("given up by name, and the receipt says %+v", thing)
	}
}
