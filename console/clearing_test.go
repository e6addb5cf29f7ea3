package console

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// A holdingCloud makes things beside its machines, each marked with its event.
type holdingCloud struct {
	*fakeCloud
	things map[string]Thing // by id; guarded by the fakeCloud's mutex, as is what follows
	marks  map[string]string
	asked  []string // ids that were to be removed, in order
}

func newHoldingCloud(f *fakeCloud) *holdingCloud {
	return &holdingCloud{fakeCloud: f, things: map[string]Thing{}, marks: map[string]string{}}
}

// makes has the cloud hold things for an event.
func (f *holdingCloud) makes(event string, all ...Thing) {
	f.change(func(*fakeCloud) {
		for _, t := range all {
			f.things[t.ID], f.marks[t.ID] = t, event
		}
	})
}

func (f *holdingCloud) Held(ctx context.Context, event string) (all []Thing, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, t := range f.things {
		if f.marks[id] == event {
			all = append(all, t)
		}
	}
	for _, m := range f.machines {
		if l := slices.IndexFunc(f.launches, func(l Launch) bool { return l.Instance == m.Instance }); l >= 0 && f.launches[l].EventID == event {
			all = append(all, Thing{Kind: ThingMachine, ID: m.ID, Instance: m.Instance, Deployment: f.launches[l].Deployment})
		}
	}
	return all, f.failure("held", event)
}

func (f *holdingCloud) Remove(ctx context.Context, t Thing) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = append(f.asked, t.ID)
	if err := f.failure("remove", t.ID); err != nil {
		return err
	}
	delete(f.things, t.ID)
	return nil
}

func (f *holdingCloud) left() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(maps.Keys(f.things))
}

func newHolding(t *testing.T) (*living, *holdingCloud) {
	l := newLiving(t)
	f := newHoldingCloud(l.cloud)
	l.opts.Clouds["local"] = f
	return l, f
}

func (l *living) ends(t *testing.T, e Event) Event {
	t.Helper()
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	return stored[Event](t, l.testConsole, e.ID)
}

func (l *living) receipt(t *testing.T, e Event) map[string]ReceiptThing {
	t.Helper()
	r, err := l.Receipt(t.Context(), anOwner, e.ID)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]ReceiptThing{}
	for _, thing := range r.Things {
		all[thing.ID] = thing
	}
	return all
}

// TestClears removes all that was made for an event, in an order in which nothing is in
// the way, before it is archived; and the receipt names each.
func TestClears(t *testing.T) {
	l, f := newHolding(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice"}))
	f.makes(e.ID, Thing{Kind: ThingGroup, ID: "sg-1"}, Thing{Kind: ThingVolume, ID: "vol-1", Deployment: all[0].Deployment, Instance: all[0].ID},
		Thing{Kind: ThingAddress, ID: "eip-1"}, Thing{Kind: ThingSnapshot, ID: "snap-1", Deployment: all[0].Deployment},
		Thing{Kind: ThingVolume, ID: "vol-root", Deployment: all[0].Deployment, Instance: all[0].ID})
	f.makes("another", Thing{Kind: ThingGroup, ID: "sg-2"})
	l.reports(t, all[0].ID, live)
	if e = l.ends(t, e); e.State != EventEnded || len(f.asked) != 0 {
		t.Fatalf("while its instance is there it is %s, and %v were removed", e.State, f.asked)
	}
	if things := l.receipt(t, e); len(things) != 5 || !things["sg-1"].Gone.IsZero() || things["sg-1"].Left {
		t.Errorf("while it ends the receipt has %v", things)
	}
	f.change(func(*fakeCloud) { delete(f.things, "vol-root") }) // it goes with its machine
	l.reports(t, all[0].ID, over)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	if got := f.left(); !slices.Equal(got, []string{"sg-2"}) || !slices.Equal(f.asked, []string{"eip-1", "vol-1", "snap-1", "sg-1"}) {
		t.Errorf("left are %v, after %v were removed", got, f.asked)
	}
	things := l.receipt(t, e)
	for _, id := range []string{"sg-1", "vol-1", "eip-1", "snap-1", "vol-root"} {
		if thing := things[id]; !thing.Gone.Equal(l.now()) || thing.Left || thing.Why != "" {
			t.Errorf("the receipt says of %s %+v", id, thing)
		}
	}
	if len(things) != 5 || things["vol-1"].Title == "" {
		t.Errorf("the receipt has %v", things)
	}
}

// TestLeftBehind: what cannot be removed keeps no event from being archived for longer than
// an hour. It is named, with why, and tried again until it is gone.
func TestLeftBehind(t *testing.T) {
	l, f := newHolding(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	f.makes(e.ID, Thing{Kind: ThingGroup, ID: "sg-1"}, Thing{Kind: ThingAddress, ID: "eip-1"})
	refuses := func(call, id string) error {
		if call == "remove" && id == "sg-1" {
			return errors.New("another instance uses it;\nlook for it")
		}
		return nil
	}
	f.change(func(f *fakeCloud) { f.fails = refuses })
	e = l.ends(t, e)
	for began := l.now(); l.now().Sub(began) < clearFor-longestPause; l.later(t, 30*time.Second) {
		checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventEnded)
	}
	if e = stored[Event](t, l.testConsole, e.ID); !strings.Contains(e.Stuck, "security group sg-1 is there still: another instance uses it; look for it") {
		t.Errorf("meanwhile it says %q", e.Stuck)
	}
	if _, err := l.dismisses(t, anOwner, e, "sg-1"); err == nil {
		t.Error("it is dismissed before it is given up")
	}
	l.later(t, 2*longestPause)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	things := l.receipt(t, e)
	if left := things["sg-1"]; !left.Left || left.Why != "another instance uses it; look for it" || things["eip-1"].Gone.IsZero() {
		t.Errorf("the receipt says %+v", things)
	}
	tried := len(f.asked)
	l.later(t, clearAgain)
	if len(f.asked) != tried+1 {
		t.Errorf("within the hour it was tried %d times", len(f.asked)-tried)
	}
	f.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, clearAgain)
	if thing := l.receipt(t, e)["sg-1"]; thing.Left || !thing.Gone.Equal(l.now()) {
		t.Errorf("it is gone at last, and the receipt says %+v", thing)
	}
	checkState(t, "clearing", stored[Clearing](t, l.testConsole, e.ID).State, ClearingDone)
}

// dismisses dismisses, and settles.
func (l *living) dismisses(t *testing.T, a Actor, e Event, id string) (Clearing, error) {
	t.Helper()
	err := l.DismissThing(t.Context(), a, e.ID, id)
	l.settle(t)
	return stored[Clearing](t, l.testConsole, e.ID), err
}

// TestDismissed: its owner may say that something stays; nobody tries it any more.
func TestDismissed(t *testing.T) {
	l, f := newHolding(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	f.makes(e.ID, Thing{Kind: ThingGroup, ID: "sg-1"}, Thing{Kind: ThingGroup, ID: "sg-2"})
	f.change(func(f *fakeCloud) {
		f.fails = func(call, id string) error {
			if call == "remove" {
				return errors.New("no")
			}
			return nil
		}
	})
	e = l.ends(t, e)
	for range 20 {
		l.later(t, longestPause)
	}
	for _, a := range []Actor{aStranger, aViewer, anOrganiser} {
		if g, err := l.dismisses(t, a, e, "sg-1"); err == nil || g.State != ClearingLeft {
			t.Errorf("%s dismissed it", a.Name)
		}
	}
	if _, err := l.dismisses(t, anOwner, e, "sg-9"); !errors.As(err, new(*InputError)) {
		t.Errorf("what is not there: %v", err)
	}
	if g, err := l.dismisses(t, anOwner, e, "sg-2"); err != nil || g.State != ClearingLeft {
		t.Fatalf("one of two dismissed: %s, %v", g.State, err)
	}
	f.asked = nil
	if l.later(t, clearAgain); !slices.Equal(f.asked, []string{"sg-1"}) {
		t.Errorf("after that these were tried: %v", f.asked)
	}
	g, err := l.dismisses(t, anOwner, e, "sg-1")
	if err != nil || g.State != ClearingDone {
		t.Fatalf("dismissed: %s, %v", g.State, err)
	}
	tried := len(f.asked)
	l.later(t, 3*clearAgain)
	if thing := l.receipt(t, e)["sg-1"]; len(f.asked) != tried || !thing.Left || thing.Dismissed != anOwner.ID || l.audited(t, "dismiss", "event/"+e.ID) != 2 {
		t.Errorf("it was tried again, or the receipt says %+v", thing)
	}
}

// TestCloudThatCannotTell: an event is not said to have left nothing where nobody knows.
func TestCloudThatCannotTell(t *testing.T) {
	l, f := newHolding(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	f.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "held" {
				return errors.New("503")
			}
			return nil
		}
	})
	e = l.ends(t, e)
	l.later(t, longestPause)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventEnded)
	for range 20 {
		l.later(t, longestPause)
	}
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	r, err := l.Receipt(t.Context(), anOwner, e.ID)
	if err != nil || r.Unknown != "What local has of it could not be told: 503" {
		t.Errorf("the receipt says %q, %v", r.Unknown, err)
	}
	f.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, clearAgain)
	checkState(t, "clearing", stored[Clearing](t, l.testConsole, e.ID).State, ClearingDone)
}
