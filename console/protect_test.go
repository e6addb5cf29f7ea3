package console

import (
	"context"
	"errors"
	"slices"
	"testing"
)

// A protectingCloud notes whom it was to protect.
type protectingCloud struct {
	*fakeCloud
	kept []string
}

func (f *protectingCloud) Protect(_ context.Context, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.failure("protect", instance); err != nil {
		return err
	}
	f.kept = append(f.kept, instance)
	return nil
}

// TestProtects: what is live in an event that goes on is protected once, though that
// does not work at first and the console is killed before it could write it down.
func TestProtects(t *testing.T) {
	l := newLiving(t)
	f := &protectingCloud{fakeCloud: l.cloud}
	l.opts.Clouds["local"] = f
	f.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "protect" {
				return errors.New("not now")
			}
			return nil
		}
	})
	e, all := l.launched(t, fair(AppRequest{App: "notice", Count: 2}))
	if id := all[0].ID; len(f.kept) != 0 || !stored[Instance](t, l.testConsole, id).Due.IsZero() {
		t.Error("it is protected before it is live")
	}
	l.reports(t, all[0].ID, live)
	i := stored[Instance](t, l.testConsole, all[0].ID)
	if i.State != InstanceLive || i.Failure != "" || !i.Due.Equal(l.now().Add(firstPause)) {
		t.Errorf("not protected: %s, %q, due %s", i.State, i.Failure, i.Due)
	}
	f.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, firstPause)
	i = stored[Instance](t, l.testConsole, all[0].ID)
	if !i.Due.IsZero() || i.Tries != 0 || !slices.Equal(f.kept, []string{i.ID}) {
		t.Errorf("protected: due %s, %d tries, kept %v", i.Due, i.Tries, f.kept)
	}
	l.reports(t, all[0].ID, live)
	l.polls(t, 3)
	if len(f.kept) != 1 {
		t.Errorf("protected again and again: %v", f.kept)
	}
	e = l.ends(t, e)
	l.reports(t, all[1].ID, live) // it came up a moment too late
	l.reports(t, all[0].ID, over)
	l.later(t, sayGoodbye)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	if len(f.kept) != 1 {
		t.Errorf("what is to end was protected: %v", f.kept)
	}
}
