package manual

import (
	"context"
	"errors"
	"strings"
	"testing"

	"popup/cloud/cloudtest"
	"popup/console"
	"popup/store/storetest/embedded"
)

// A person starts what is launched, and turns off what is to end.
type person struct{ *Cloud }

func (p person) Launch(ctx context.Context, l console.Launch) (console.Machine, error) {
	m, err := p.Cloud.Launch(ctx, l)
	if err == nil {
		_, err = p.Paste(ctx, l.Instance)
	}
	return m, err
}

func (p person) Terminate(ctx context.Context, instance string) error {
	return errors.Join(p.Confirm(ctx, instance), p.Cloud.Terminate(ctx, instance))
}

func open(t *testing.T) console.Store {
	t.Helper()
	s, err := embedded.Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestContract(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
		store := open(t)
		return cloudtest.World{
			Open:   func() console.Cloud { return person{New(store)} },
			Close:  func() {},
			Launch: func(instance string) console.Launch { return launch(instance) },
		}
	})
}

func launch(instance string) console.Launch {
	return console.Launch{Instance: instance, UserData: []byte("#!/bin/sh\n: " + instance + "\n")}
}

// TestByHand: a machine is there once its user-data was handed out, and gone once a
// person said so. What nobody was told of goes by itself.
func TestByHand(t *testing.T) {
	ctx, store := t.Context(), open(t)
	c := New(store)
	for _, instance := range []string{"one", "two", "tmp-fair-1"} {
		if m, err := c.Launch(ctx, launch(instance)); err != nil || m.State != console.MachinePending || m.Detail != "start a machine with this user-data" {
			t.Fatalf("launched: %+v, %v", m, err)
		}
	}
	if err := c.Terminate(ctx, "two"); err != nil {
		t.Errorf("what nobody started: %v", err)
	}
	if text, err := c.Paste(ctx, "one"); err != nil || string(text) != "#!/bin/sh\n: one\n" {
		t.Errorf("to be pasted: %q, %v", text, err)
	}
	c = New(store)
	if all, err := c.Machines(ctx); err != nil || len(all) != 2 {
		t.Errorf("opened again: %+v, %v", all, err)
	}
	if err := c.Terminate(ctx, "tmp-fair-1"); err != nil {
		t.Error(err)
	}
	if err := c.Terminate(ctx, "one"); err == nil || !strings.Contains(err.Error(), "say on its page that it is turned off") {
		t.Errorf("what somebody may have started: %v", err)
	}
	if err := c.Confirm(ctx, "one"); err != nil {
		t.Fatal(err)
	}
	c = New(store)
	if all, err := c.Machines(ctx); err != nil || len(all) != 1 || all[0].State != console.MachineStopped {
		t.Errorf("turned off: %+v, %v", all, err)
	}
	if again, err := c.Launch(ctx, launch("one")); err != nil || again.State != console.MachineStopped {
		t.Errorf("launched again: %+v, %v", again, err)
	}
	if err := errors.Join(c.Terminate(ctx, "one"), c.Confirm(ctx, "one"), c.Confirm(ctx, "../one")); err != nil {
		t.Error(err)
	}
	if _, err := c.Paste(ctx, "one"); !errors.Is(err, console.ErrNotFound) {
		t.Errorf("paste what is gone: %v", err)
	}
	if left, err := c.Machines(ctx); err != nil || len(left) != 0 {
		t.Errorf("left are %v, %v", left, err)
	}
}

// TestDamaged: a record that is no machine's loses no other, and nothing is taken for gone.
func TestDamaged(t *testing.T) {
	ctx, store := t.Context(), open(t)
	c := New(store)
	for instance, text := range map[string]string{"one": "{", "two": `{"instance": "three"}`} {
		if err := store.Update(ctx, func(tx console.Tx) error {
			return tx.Put(console.Record{Kind: kind, ID: instance, Doc: []byte(text)})
		}); err != nil {
			t.Fatal(err)
		}
	}
	for _, instance := range []string{"one", "two"} {
		_, launched := c.Launch(ctx, launch(instance))
		_, listed := c.Machines(ctx)
		for _, err := range []error{launched, listed, c.Terminate(ctx, instance), c.Confirm(ctx, instance)} {
			if err == nil || !strings.Contains(err.Error(), "restore a backup") {
				t.Errorf("%s: %v", instance, err)
			}
		}
	}
}
