package console

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"
)

// A fakeCloud keeps the contract of Cloud in memory.
type fakeCloud struct {
	mu         sync.Mutex
	machines   map[string]Machine // by instance
	launches   []Launch           // every call of Launch that was answered
	terminated []string           // every instance whose machine was ended
	refusal    error              // what Check answers
	fails      func(call, instance string) error
	asked      func(Launch) error // what Launch fails with; nil: nothing
	state      MachineState       // of new machines
}

func newFakeCloud() *fakeCloud {
	return &fakeCloud{machines: map[string]Machine{}, state: MachineRunning}
}

var _ Cloud = (*fakeCloud)(nil)

func (f *fakeCloud) Check(ctx context.Context, l Launch) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return errors.Join(f.refusal, f.failure("check", l.Instance))
}

func (f *fakeCloud) Launch(ctx context.Context, l Launch) (Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failure("launch", l.Instance); err != nil {
		return Machine{}, err
	}
	if f.asked != nil {
		if err := f.asked(l); err != nil {
			return Machine{}, err
		}
	}
	f.launches = append(f.launches, l)
	m, there := f.machines[l.Instance]
	if !there {
		m = Machine{Instance: l.Instance, ID: "m-" + l.Instance, State: f.state, Address: "http://" + l.Instance + ".test", Launched: time.Now()}
		f.machines[l.Instance] = m
	}
	return m, nil
}

func (f *fakeCloud) Machines(ctx context.Context) ([]Machine, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failure("machines", ""); err != nil {
		return nil, err
	}
	all := make([]Machine, 0, len(f.machines))
	for _, m := range f.machines {
		all = append(all, m)
	}
	return all, nil
}

func (f *fakeCloud) Terminate(ctx context.Context, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failure("terminate", instance); err != nil {
		return err
	}
	if _, there := f.machines[instance]; there {
		delete(f.machines, instance)
		f.terminated = append(f.terminated, instance)
	}
	return nil
}

func (f *fakeCloud) failure(call, instance string) error {
	if f.fails == nil {
		return nil
	}
	return f.fails(call, instance)
}

// change does something to the cloud behind the console's back.
func (f *fakeCloud) change(fn func(*fakeCloud)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	fn(f)
}

// instances are those that have a machine, sorted.
func (f *fakeCloud) instances() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var ids []string
	for id := range f.machines {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

func TestFakeCloudKeepsTheContract(t *testing.T) {
	ctx, f := t.Context(), newFakeCloud()
	first, err := f.Launch(ctx, Launch{Instance: "fair-1"})
	if err != nil {
		t.Fatal(err)
	}
	if again, err := f.Launch(ctx, Launch{Instance: "fair-1"}); err != nil || again != first {
		t.Errorf("asked twice it made %v beside %v, %v", again, first, err)
	}
	if err := errors.Join(f.Terminate(ctx, "fair-1"), f.Terminate(ctx, "fair-1")); err != nil {
		t.Error(err)
	}
	if all, err := f.Machines(ctx); err != nil || len(all) != 0 {
		t.Errorf("left: %v, %v", all, err)
	}
}
