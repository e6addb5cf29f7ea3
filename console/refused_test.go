package console

import (
	"errors"
	"testing"
	"time"
)

// TestRefusedHere: where another place may do, it is asked for there; what was left open
// is asked for again where it was.
func TestRefusedHere(t *testing.T) {
	l := newLiving(t)
	var asked []int
	answers := []error{errors.New("no answer"), &RefusedError{"this zone has none", true}, errors.New("no answer"), errors.New("no answer"), &RefusedError{"nor has this one", true}, nil}
	l.cloud.asked = func(ask Launch) error {
		asked = append(asked, ask.Attempt)
		return answers[len(asked)-1]
	}
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	for len(asked) < len(answers) {
		l.later(t, longestPause)
	}
	for k, want := range []int{0, 0, 1, 1, 1, 2} {
		if asked[k] != want {
			t.Fatalf("asked as attempt %v", asked)
		}
	}
	if i := l.instances(t, e.ID)[0]; i.State != InstanceStarting || i.Attempt != 2 || i.Failure != "" {
		t.Errorf("in the end it is %s, attempt %d, %q", i.State, i.Attempt, i.Failure)
	}
}

// TestRefusedSoon: a cloud that says why, and that nothing else would do, is not asked for
// hours; one whose answers do not come is.
func TestRefusedSoon(t *testing.T) {
	l := newLiving(t)
	l.cloud.fails = func(call, _ string) error {
		if call == "launch" {
			return &RefusedError{"the limit of instances is reached; ask for more of them", false}
		}
		return nil
	}
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	began := l.now()
	for i := l.instances(t, e.ID)[0]; !i.State.Over(); i = l.instances(t, e.ID)[0] {
		if l.now().Sub(began) > 2*time.Minute {
			t.Fatalf("after %s it is %s", l.now().Sub(began), i.State)
		}
		l.later(t, firstPause)
	}
	i := l.instances(t, e.ID)[0]
	if i.State != InstanceFailed || i.Failure != "the limit of instances is reached; ask for more of them" || i.Refusals != mostRefusals {
		t.Errorf("refused: %s after %d tries, %q", i.State, i.Tries, i.Failure)
	}
}

// TestNotListedYet: a cloud that does not list yet what it launched has not lost it.
func TestNotListedYet(t *testing.T) {
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "guestbook"}))
	machines := l.cloud.machines
	l.cloud.change(func(f *fakeCloud) { f.machines = map[string]Machine{} })
	for range 6 {
		l.later(t, 9*time.Second)
	}
	checkState(t, "not listed for less than a minute", l.instances(t, e.ID)[0].State, InstanceStarting)
	l.cloud.change(func(f *fakeCloud) { f.machines = machines })
	l.polls(t, 4)
	checkState(t, "listed", l.instances(t, e.ID)[0].State, InstanceStarting)
}
