package console

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"
)

// A cutter kills a console at one moment: from then on nothing that it does has an
// effect, and what it did last is done though it never hears of it.
type cutter struct {
	mu    sync.Mutex
	left  int // moments until then; negative: it is not killed
	dead  bool
	steal func() // done in the place of a kill, if not nil
	over  bool   // that was done, or it is dead
	late  int    // what it did nevertheless
}

var errCut = errors.New("this console was killed")

// moment passes one at which a kill may come.
func (k *cutter) moment() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.left--; k.left == 0 {
		if k.dead, k.over = k.steal == nil, true; !k.dead {
			k.steal()
		}
	}
	if k.dead {
		return errCut
	}
	return nil
}

// around does something with a moment before it, and one before its answer.
func (k *cutter) around(do func() error) error {
	if err := k.moment(); err != nil {
		return err
	}
	return errors.Join(do(), k.moment())
}

// does is around what changes something out there.
func (k *cutter) does(do func() error) error {
	k.mu.Lock()
	if k.over {
		k.late++
	}
	k.mu.Unlock()
	return k.around(do)
}

// A cutStore is the store of a console that is killed.
type cutStore struct {
	Store
	*cutter
}

func (s cutStore) Update(ctx context.Context, fn func(Tx) error) error {
	return s.around(func() error { return s.Store.Update(ctx, fn) })
}

// A cutCloud is the cloud of a console that is killed. It knows what it was asked for by
// instance and attempt alone, as one does whose lists are behind.
type cutCloud struct {
	*cutter
	world *cutWorld
}

// A cutWorld is what such a cloud has.
type cutWorld struct {
	now      func() time.Time
	mu       sync.Mutex
	machines map[string]Machine // by what it was asked for with
	group    string             // of an event; empty: there is none
}

// What a cutWorld is like.
const (
	worldZones = 3
	worldLag   = 55 * time.Second // until what was made is listed
)

func (f cutCloud) Check(context.Context, Launch) error { return nil }

func (f cutCloud) Launch(_ context.Context, l Launch) (m Machine, err error) {
	err = f.does(func() error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		token := fmt.Sprintf("%s/%d", l.Instance, l.Attempt)
		if (l.Number+l.Attempt)%worldZones == 1 {
			return &RefusedError{"this zone has none left", true}
		}
		f.world.group = l.EventID
		if _, there := f.world.machines[token]; !there {
			f.world.machines[token] = Machine{Instance: l.Instance, ID: "m-" + newID(8), State: MachineRunning, Launched: f.world.now()}
		}
		m = f.world.machines[token]
		return nil
	})
	if err != nil {
		return Machine{}, err
	}
	return m, nil
}

func (f cutCloud) Machines(context.Context) (all []Machine, err error) {
	err = f.around(func() error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		for _, m := range f.world.machines {
			if f.world.now().Sub(m.Launched) >= worldLag {
				all = append(all, m)
			}
		}
		return nil
	})
	return all, err
}

func (f cutCloud) Terminate(_ context.Context, instance string) error {
	return f.does(func() error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		for token, m := range f.world.machines {
			if m.Instance == instance {
				delete(f.world.machines, token)
			}
		}
		return nil
	})
}

func (f cutCloud) Held(_ context.Context, event string) (all []Thing, err error) {
	err = f.around(func() error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		if f.world.group == event {
			all = append(all, Thing{Kind: ThingGroup, ID: "sg-1"})
		}
		return nil
	})
	return all, err
}

func (f cutCloud) Remove(context.Context, Thing) error {
	return f.does(func() error {
		f.world.mu.Lock()
		defer f.world.mu.Unlock()
		f.world.group = ""
		return nil
	})
}

// TestCut kills a console at every moment between what it asks of its cloud and what it
// writes down, and has another one go on: no instance ever has two machines or none.
func TestCut(t *testing.T) {
	for moment := 1; ; moment++ {
		store, err := OpenStore(t.Context(), t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		l := &cutLife{t: t, store: store, clock: &testClock{now: aDay}, keys: filepath.Join(t.TempDir(), "key")}
		l.world = &cutWorld{now: l.clock.Now, machines: map[string]Machine{}}
		killed := &cutter{left: moment}
		l.goesOn(killed)
		l.goesOn(&cutter{left: -1})
		if err := store.Close(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Fatalf("killed at moment %d", moment)
		}
		if !killed.dead {
			t.Logf("killed at %d moments", moment-1)
			return
		}
	}
}

// A cutLife is one of an event, told by several consoles.
type cutLife struct {
	t     *testing.T
	store Store
	keys  string
	clock *testClock
	world *cutWorld
	term  int64 // of the console that goes on; 0: it is alone
	upTo  int64 // the newest change when the lease was stolen, or somebody asked for something after it
}

// goesOn has a console launch and end all, from wherever the one before it came to.
func (l *cutLife) goesOn(k *cutter) {
	t := l.t
	t.Helper()
	c := newConsole(t, func(o *Options) {
		o.Store, o.Keys, o.Now = cutStore{l.store, k}, openKeys(t, l.keys), l.clock.Now
		o.Clouds = map[string]Cloud{"local": cutCloud{k, l.world}}
	})
	c.clock = l.clock
	a := l.leads(c)
	o, err := c.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice"}), "once")
	if err != nil && !k.dead {
		t.Fatal(err)
	}
	l.mark(k)
	for range 4 {
		a.later(t, pollEvery)
	}
	if k.over {
		return
	}
	e := stored[Event](t, c, o.Event)
	if e.State == EventOpen {
		l.checkMachines(a.instances(t, e.ID))
	}
	if _, err := c.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil && e.State == EventOpen && !k.dead {
		t.Fatal(err)
	}
	l.mark(k)
	for range 4 {
		a.later(t, pollEvery)
	}
	if !k.over {
		checkState(t, "ended", stored[Event](t, c, e.ID).State, EventArchived)
		if len(l.world.machines) != 0 || l.world.group != "" {
			t.Errorf("left are %v, and the group of %q", l.world.machines, l.world.group)
		}
		if r, err := c.Receipt(t.Context(), anOwner, e.ID); err != nil || len(r.Things) != 1 || r.Things[0].Gone.IsZero() {
			t.Errorf("the receipt says %+v, %v", r, err)
		}
	}
}

// checkMachines wants one machine for each instance, and that one known.
func (l *cutLife) checkMachines(all []Instance) {
	l.t.Helper()
	if len(all) != 1 {
		l.t.Errorf("%d instances, want the one that was launched", len(all))
	}
	for _, i := range all {
		var has []string
		for _, m := range l.world.machines {
			if m.Instance == i.ID {
				has = append(has, m.ID)
			}
		}
		if i.State != InstanceStarting || !slices.Equal(has, []string{i.Machine}) {
			l.t.Errorf("%s is %s with the machine %s, and the cloud has %v: %s", i.ID, i.State, i.Machine, has, i.Failure)
		}
	}
}
