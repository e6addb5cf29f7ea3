package console

import (
	"context"
	"testing"
	"time"
)

// TestEventsDoNotWaitForClouds: a cloud that hangs keeps no event from being frozen in time.
func TestEventsDoNotWaitForClouds(t *testing.T) {
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	answer := make(chan struct{})
	l.cloud.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "launch" {
				<-answer
			}
			return nil
		}
	})
	r := fair(AppRequest{App: "notice", Count: 2 * mostAtOnce})
	r.Event.End = "2026-06-30"
	if _, err := l.Launch(t.Context(), anOwner, r, ""); err != nil {
		t.Fatal(err)
	}
	until(t, "is all that is launched at once", func() bool { l.reconciler.look(t.Context()); return l.reconciler.full })
	l.clock.advance(e.FreezesAt.Sub(l.now()))
	until(t, "is frozen", func() bool {
		l.reconciler.look(t.Context())
		return stored[Event](t, l.testConsole, e.ID).State == EventFrozen
	})
	close(answer)
	l.reconciler.jobs.Wait()
}

// TestListsDoNotWaitForClouds: a cloud in which all that is asked for hangs keeps none from
// being asked for its machines.
func TestListsDoNotWaitForClouds(t *testing.T) {
	l := newLiving(t)
	asked := make(chan struct{}, 100)
	l.opts.Clouds["other"] = listing{newFakeCloud(), func() { asked <- struct{}{} }}
	answer := make(chan struct{})
	l.cloud.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "launch" {
				<-answer
			}
			return nil
		}
	})
	if _, err := l.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice", Count: 2 * mostAtOnce}), ""); err != nil {
		t.Fatal(err)
	}
	until(t, "is all that is launched at once", func() bool { l.reconciler.look(t.Context()); return len(l.reconciler.slots) == mostAtOnce })
	until(t, "is asked at first", func() bool { return len(asked) > 0 })
	until(t, "have lists ended", func() bool {
		l.reconciler.look(t.Context())
		l.reconciler.mu.Lock()
		defer l.reconciler.mu.Unlock()
		return !l.reconciler.busy[pollOfCloud+"/other"] && len(l.reconciler.slots) == mostAtOnce
	})
	<-asked
	l.clock.advance(pollEvery)
	until(t, "is asked again", func() bool { l.reconciler.look(t.Context()); return len(asked) > 0 })
	close(answer)
	l.reconciler.jobs.Wait()
}

// A clinging cloud lets no machine go until it is told to.
type clinging struct {
	*fakeCloud
	letGo chan struct{}
}

func (c clinging) Terminate(ctx context.Context, instance string) error {
	<-c.letGo
	return c.fakeCloud.Terminate(ctx, instance)
}

// TestLaunchesDoNotWaitForEnds: machines that take long to be gone keep none from being
// launched.
func TestLaunchesDoNotWaitForEnds(t *testing.T) {
	l := newLiving(t, func(o *Options) { o.URL = "https://console.example" })
	slow := clinging{newFakeCloud(), make(chan struct{})}
	l.opts.Clouds["slow"] = slow
	r := fair(AppRequest{App: "notice", Count: 2 * mostDue}) // more than are looked at in one go
	r.Cloud = "slow"
	e, _ := l.launched(t, r)
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.clock.advance(time.Hour)
	until(t, "is all that ends at once", func() bool { l.reconciler.look(t.Context()); return len(l.reconciler.ends) == mostEnds })
	r = fair(AppRequest{App: "notice"})
	r.Event.Name = "after"
	if _, err := l.Launch(t.Context(), anOwner, r, ""); err != nil {
		t.Fatal(err)
	}
	until(t, "is launched", func() bool { l.reconciler.look(t.Context()); return len(l.cloud.instances()) == 1 })
	close(slow.letGo)
	l.reconciler.jobs.Wait()
}
