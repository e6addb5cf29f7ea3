package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"popup/userdata"
)

// A volumeCloud keeps volumes. It attaches none that another machine may write on.
type volumeCloud struct {
	*holdingCloud
	made      []VolumeAsk
	had       map[string]string // the instance that a volume was attached to last
	snapshots []string          // instances whose disks were kept
}

func (f *volumeCloud) MakeVolume(_ context.Context, ask VolumeAsk) (Volume, error) {
	if err := f.failure("make", ask.Instance); err != nil {
		return Volume{}, err
	}
	f.made = append(f.made, ask)
	id := "vol-" + ask.Deployment
	f.makes(ask.EventID, Thing{Kind: ThingVolume, ID: id, Deployment: ask.Deployment, Instance: ask.Instance})
	return Volume{ID: id, Place: "zone-a"}, nil
}

func (f *volumeCloud) Attach(_ context.Context, volume, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m, there := f.machines[f.had[volume]]; there && m.Instance != instance {
		return fmt.Errorf("%s has it, and is not turned off", m.Instance)
	}
	if f.machines[instance].State != MachineRunning {
		return errors.New("its machine does not run yet")
	}
	f.had[volume] = instance
	return f.failure("attach", instance)
}

func (f *volumeCloud) Snapshot(_ context.Context, instance, why string) ([]Thing, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.machines[instance]; !there {
		return nil, errors.New("its machine is gone")
	}
	f.snapshots = append(f.snapshots, instance+": "+why)
	return nil, f.failure("snapshot", instance)
}

func newVolumes(t *testing.T) (*living, *volumeCloud) {
	l := newLiving(t)
	f := &volumeCloud{holdingCloud: newHoldingCloud(l.cloud), had: map[string]string{}}
	l.opts.Clouds["local"] = f
	return l, f
}

// told is the volume that an instance's plan names, and whether it may be formatted.
func (l *living) told(t *testing.T, instance string) (id string, fresh bool) {
	t.Helper()
	n := slices.IndexFunc(l.cloud.launches, func(ask Launch) bool { return ask.Instance == instance })
	plan, err := userdata.Read(l.cloud.launches[n].UserData)
	if err != nil || plan.State.Volume == nil || l.cloud.launches[n].Volume != plan.State.Volume.ID {
		t.Fatalf("%s is told %+v, and its cloud %q, %v", instance, plan.State.Volume, l.cloud.launches[n].Volume, err)
	}
	return plan.State.Volume.ID, plan.State.Volume.Fresh
}

func onVolume() LaunchRequest { return fair(AppRequest{App: "guestbook", Volume: true}) }

// TestVolumeThatWasNeverUsed may be formatted by whoever takes the place of one that was
// lost before it was live.
func TestVolumeThatWasNeverUsed(t *testing.T) {
	l, f := newVolumes(t)
	e, _ := l.launched(t, onVolume())
	f.change(func(f *fakeCloud) { clear(f.machines) })
	l.polls(t, 5)
	all := l.instances(t, e.ID)
	if len(all) != 2 || all[1].Replaces != all[0].ID {
		t.Fatalf("its machine went away: %v", statesOf(all))
	}
	if _, fresh := l.told(t, all[1].ID); !fresh {
		t.Error("the volume may be blank, and must not be formatted")
	}
}

// TestVolume: state is on a volume that is made once, formatted for the first instance
// alone, moves to the one that takes its place, and goes once what is on it is archived.
func TestVolume(t *testing.T) {
	l, f := newVolumes(t)
	f.change(func(f *fakeCloud) { f.state = MachinePending })
	e, all := l.launched(t, onVolume())
	first := all[0]
	volume, fresh := l.told(t, first.ID)
	if !fresh || len(f.made) != 1 || f.made[0].VolumeSize != leastVolume || f.made[0].Instance != first.ID || f.had[volume] != "" {
		t.Errorf("%s, fresh %v, made %+v, had by %q", volume, fresh, f.made, f.had[volume])
	}
	if i := stored[Instance](t, l.testConsole, first.ID); i.Failure != "its volume is not attached yet: its machine does not run yet" {
		t.Errorf("it waits with %q", i.Failure)
	}
	f.change(func(f *fakeCloud) {
		f.state = MachineRunning
		for id, m := range f.machines {
			m.State = MachineRunning
			f.machines[id] = m
		}
	})
	l.later(t, longestPause)
	if i := stored[Instance](t, l.testConsole, first.ID); f.had[volume] != first.ID || i.Attached.IsZero() || i.Failure != "" || !i.Due.IsZero() {
		t.Errorf("attached to %q, %q", f.had[volume], i.Failure)
	}
	l.reports(t, first.ID, live)
	old := l.cloud.machines[first.ID]
	f.change(func(f *fakeCloud) { clear(f.machines) })
	l.polls(t, 5)
	all = l.instances(t, e.ID)
	if len(all) != 2 || all[0].State != InstanceLost || all[1].Replaces != first.ID || all[0].ReplacedBy != all[1].ID {
		t.Fatalf("its machine went away: %v, %q", statesOf(all), all[0].Failure)
	}
	next := all[1].ID
	if again, fresh := l.told(t, next); again != volume || fresh || f.had[volume] != next || len(f.made) != 1 {
		t.Errorf("the next one is told %s, fresh %v; attached to %q; made %d", again, fresh, f.had[volume], len(f.made))
	}
	f.change(func(f *fakeCloud) { f.machines[first.ID] = old })
	l.polls(t, 1)
	if got := f.instances(); !slices.Equal(got, []string{next}) {
		t.Errorf("the old machine is back beside the new one: %v", got)
	}
	l.reports(t, next, live)
	e = l.ends(t, e)
	l.later(t, patience)
	if len(f.left()) != 1 || len(f.instances()) != 1 {
		t.Errorf("before its backup came there are %v and %v", f.instances(), f.left())
	}
	l.keeps(t, next)
	l.later(t, lastWords)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	if len(f.left()) != 0 || l.receipt(t, e)[volume].Gone.IsZero() {
		t.Errorf("left are %v", f.left())
	}
}

// TestVolumeWhereThereCanBeNone is a sentence.
func TestVolumeWhereThereCanBeNone(t *testing.T) {
	l, _ := newVolumes(t)
	if _, err := l.Preview(t.Context(), anOwner, fair(AppRequest{App: "notice", Volume: true})); err == nil || !strings.Contains(err.Error(), "keeps nothing that visitors write") {
		t.Errorf("an app without state: %v", err)
	}
	l.opts.Clouds["local"] = l.cloud
	if _, err := l.Preview(t.Context(), anOwner, onVolume()); err == nil || !strings.Contains(err.Error(), "local keeps no volumes; choose another cloud") {
		t.Errorf("a cloud without volumes: %v", err)
	}
}

// TestVolumeIsKnownBeforeItIsUsed: one whose making was not answered is the same again, and
// nothing is launched without it.
func TestVolumeIsKnownBeforeItIsUsed(t *testing.T) {
	l, f := newVolumes(t)
	fails := true
	f.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "make" && fails {
				return errors.New("no answer")
			}
			return nil
		}
	})
	f.change(func(f *fakeCloud) {
		f.asked = func(ask Launch) error {
			var d Deployment
			if err := l.store.View(context.Background(), func(tx Tx) (err error) { d, err = get[Deployment](tx, ask.Deployment); return err }); err != nil || ask.Volume == "" || d.Volume.ID != ask.Volume {
				t.Errorf("it is launched with the volume %q, and known is %+v, %v", ask.Volume, d.Volume, err)
			}
			return nil
		}
	})
	_, all := l.launched(t, onVolume())
	if i := stored[Instance](t, l.testConsole, all[0].ID); i.State != InstanceLaunching || i.Failure != "make its volume: no answer" || len(f.instances()) != 0 {
		t.Errorf("%s: %q", i.State, i.Failure)
	}
	fails = false
	l.later(t, longestPause)
	checkState(t, "instance", stored[Instance](t, l.testConsole, all[0].ID).State, InstanceStarting)
}

// TestReplaceMachine: who manages an event has a sick machine replaced; its disks are kept,
// and its volume goes over once it is gone.
func TestReplaceMachine(t *testing.T) {
	l, f := newVolumes(t)
	e, all := l.launched(t, onVolume())
	id := all[0].ID
	volume, _ := l.told(t, id)
	l.reports(t, id, live)
	for _, a := range []Actor{aStranger, aViewer, anOrganiser} {
		if _, err := l.ReplaceMachine(t.Context(), a, id, true); err == nil {
			t.Errorf("%s replaced it", a.Name)
		}
	}
	next, err := l.ReplaceMachine(t.Context(), anOwner, id, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReplaceMachine(t.Context(), anOwner, id, true); !errors.As(err, new(*ConflictError)) {
		t.Errorf("replaced twice: %v", err)
	}
	l.settle(t)
	l.later(t, longestPause)
	if got := f.instances(); !slices.Equal(got, []string{next}) || f.had[volume] != next || !slices.Equal(f.snapshots, []string{id + ": sick, and replaced by " + next}) {
		t.Errorf("there are %v, the volume is attached to %q, kept are %v", got, f.had[volume], f.snapshots)
	}
	if again, fresh := l.told(t, next); again != volume || fresh {
		t.Errorf("the next one is told %s, fresh %v", again, fresh)
	}
	e = stored[Event](t, l.testConsole, e.ID)
	if i := stored[Instance](t, l.testConsole, id); i.State != InstanceGone || i.stateBecame(stored[Deployment](t, l.testConsole, i.Deployment), e) != "What it wrote is on a volume, which "+next+" went on with." {
		t.Errorf("it is %s", i.State)
	}
	// The next one never comes up; what the first one wrote is given up by name.
	e = l.ends(t, e)
	for range 20 {
		l.later(t, longestPause)
	}
	if thing := l.receipt(t, e)[volume]; !thing.Left || thing.Holds != id {
		t.Errorf("nobody archived it, and the receipt says %+v", thing)
	}
	if err := l.DiscardState(t.Context(), anOwner, id, id); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if len(f.left()) != 0 {
		t.Errorf("given up, and left are %v", f.left())
	}
}

// TestReplaceIsRefused where something would be lost by it.
func TestReplaceIsRefused(t *testing.T) {
	l := newLiving(t)
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice"}))
	if _, err := l.ReplaceMachine(t.Context(), anOwner, all[0].ID, false); err == nil || !strings.Contains(err.Error(), "would go with it") {
		t.Errorf("state on its own disk: %v", err)
	}
	if _, err := l.ReplaceMachine(t.Context(), anOwner, all[1].ID, true); err == nil || !strings.Contains(err.Error(), "keeps no disks") {
		t.Errorf("a cloud without snapshots: %v", err)
	}
	next, err := l.ReplaceMachine(t.Context(), anOwner, all[1].ID, false)
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if got := l.cloud.instances(); !slices.Contains(got, next) || slices.Contains(got, all[1].ID) {
		t.Errorf("there are %v", got)
	}
}
