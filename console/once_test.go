package console

import (
	"context"
	"testing"

	"popup/internal/wire"
)

// TestLaunchIsWrittenOnce: a commit that was answered with an error, and happened all the
// same, is not made another event or another set of machines of when it is done again.
func TestLaunchIsWrittenOnce(t *testing.T) {
	c := newConsole(t, func(o *Options) { o.Store = forgetful{o.Store} })
	o, err := c.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice", Count: 2}), "")
	if err != nil {
		t.Fatal(err)
	}
	r := EventRequest{Name: "feast", Title: "Feast"}
	if _, err := c.CreateEvent(t.Context(), anOwner, r); err != nil {
		t.Error(err)
	}
	var all []Instance
	if err := c.store.View(t.Context(), func(tx Tx) (err error) { all, err = instancesOf(tx, o.Event); return err }); err != nil {
		t.Fatal(err)
	}
	if e := stored[Event](t, c, o.Event); len(all) != 2 || len(o.Instances) != 2 || e.Name != "spring-fair" {
		t.Errorf("%s has %d machines, and its operation is about %v", e.Name, len(all), o.Instances)
	}
	for range 2 {
		if _, err := c.Command(t.Context(), anOwner, all[0].ID, wire.Command{Verb: wire.VerbSync}); err != nil {
			t.Fatal(err)
		}
	}
	if orders := stored[Instance](t, c, all[0].ID).Commands; len(orders) != 2 {
		t.Errorf("told two things, it is told %d", len(orders))
	}
	if n := c.audited(t, verbLaunch, "event/"+o.Event); n != 1 {
		t.Errorf("the log tells of it %d times", n)
	}
}

// A forgetful store does everything twice, as one does that does not know whether it did.
type forgetful struct{ Store }

func (f forgetful) Update(ctx context.Context, fn func(Tx) error) error {
	if err := f.Store.Update(ctx, fn); err != nil {
		return err
	}
	return f.Store.Update(ctx, fn)
}
