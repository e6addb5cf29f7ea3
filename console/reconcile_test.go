package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestLaunchingAgain(t *testing.T) {
	l := newLiving(t)
	l.cloud.fails = func(call, instance string) error {
		if call == "launch" {
			return errors.New("the cloud is\nfull\x1b[2J")
		}
		return nil
	}
	e, all := l.launched(t, fair(AppRequest{App: "notice"}))
	i := all[0]
	if i.State != InstanceLaunching || i.Tries != 1 || i.Failure != "the cloud is full [2J" || !i.Due.Equal(l.now().Add(firstPause)) {
		t.Fatalf("refused once: %s, %d tries, %q, due %s", i.State, i.Tries, i.Failure, i.Due)
	}
	l.later(t, firstPause)
	l.later(t, 2*firstPause)
	if i = l.instances(t, e.ID)[0]; i.Tries != 3 || !i.Due.Equal(l.now().Add(4*firstPause)) {
		t.Errorf("refused again: %d tries, due in %s", i.Tries, i.Due.Sub(l.now()))
	}
	l.cloud.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, 4*firstPause)
	if i = l.instances(t, e.ID)[0]; i.State != InstanceStarting || i.Tries != 0 || i.Failure != "" {
		t.Errorf("launched at last: %s, %d tries, %q", i.State, i.Tries, i.Failure)
	}
}

// TestRefusedForGood gives up in the end, and takes away what may be there.
func TestRefusedForGood(t *testing.T) {
	l := newLiving(t)
	l.cloud.fails = func(call, instance string) error {
		switch call {
		case "launch":
			l.cloud.machines[instance] = Machine{Instance: instance, ID: "m", State: MachinePending} // and no answer
			return errors.New("no answer")
		case "machines":
			return errors.New("no list")
		}
		return nil
	}
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	for range mostTries - 2 {
		l.later(t, longestPause)
	}
	if len(l.cloud.instances()) != 1 {
		t.Error("it was given up too soon")
	}
	l.later(t, longestPause)
	i := l.instances(t, e.ID)[0]
	if i.State != InstanceFailed || i.Failure != "no answer" || len(l.cloud.instances()) != 0 {
		t.Errorf("given up: %s, %q, machines %v", i.State, i.Failure, l.cloud.instances())
	}
	o, err := l.Operations(t.Context(), anOwner, e.ID)
	if err != nil || o[0].State != OperationFailed || !strings.Contains(o[0].Failure, "no answer") {
		t.Errorf("the launch: %+v, %v", o, err)
	}
}

// TestAdopts a machine whose launch was never answered.
func TestAdopts(t *testing.T) {
	l := newLiving(t)
	l.cloud.fails = func(call, instance string) error {
		if call == "launch" {
			l.cloud.machines[instance] = Machine{Instance: instance, ID: "m-1", State: MachineRunning, Address: "http://10.1.1.1"}
			return errors.New("the answer was lost")
		}
		return nil
	}
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	l.cloud.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "launch" {
				return errors.New("it was asked again")
			}
			return nil
		}
	})
	l.clock.advance(pollEvery)
	if err := l.reconciler.poll(t.Context(), "local"); err != nil {
		t.Fatal(err)
	}
	if i := l.instances(t, e.ID)[0]; i.State != InstanceStarting || i.Machine != "m-1" || i.Address != "http://10.1.1.1" || i.Failure != "" {
		t.Errorf("adopted: %+v", i)
	}
}

// polls has the clouds asked n times, as often as the loop does.
func (l *living) polls(t testing.TB, n int) {
	t.Helper()
	for range n {
		l.later(t, pollEvery)
	}
}

// TestLost: an app that keeps nothing is launched again, a few times; one that does is
// not, and comes back when its machine does.
func TestLost(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice"}, AppRequest{App: "guestbook"}))
	board, book := all[0], all[1]
	l.reports(t, book.ID, live)
	kept := l.cloud.machines[book.ID]
	l.cloud.change(func(f *fakeCloud) { clear(f.machines) })
	l.later(t, pollEvery)
	checkState(t, "missing once", stored[Instance](t, l.testConsole, board.ID).State, InstanceStarting)
	l.polls(t, 2)
	checkState(t, "missing", stored[Instance](t, l.testConsole, board.ID).State, InstanceLost)
	lost := stored[Instance](t, l.testConsole, book.ID)
	if lost.State != InstanceLost || !strings.Contains(lost.Failure, "no other is launched by itself") {
		t.Errorf("with state: %s, %q", lost.State, lost.Failure)
	}
	if got := l.cloud.instances(); len(got) != 1 || !strings.HasSuffix(got[0], "-2") {
		t.Fatalf("launched again: %v", got)
	}
	for range mostReplaced + 1 {
		l.cloud.change(func(f *fakeCloud) { clear(f.machines) })
		l.polls(t, 3)
	}
	if got := l.cloud.instances(); len(got) != 0 || len(l.instances(t, e.ID)) != 2+mostReplaced {
		t.Errorf("launched again and again: %v", got)
	}
	l.cloud.change(func(f *fakeCloud) { f.machines[book.ID] = kept })
	l.polls(t, 1)
	if back := stored[Instance](t, l.testConsole, book.ID); back.State != InstanceLive || back.Wanted.Ended || len(l.cloud.instances()) != 1 {
		t.Errorf("its machine is back, and it is %s, wanted %+v", back.State, back.Wanted)
	}
	l.cloud.change(func(f *fakeCloud) { f.machines[board.ID] = Machine{Instance: board.ID, ID: "m", State: MachineRunning} })
	l.polls(t, 1)
	if got := l.cloud.instances(); !slices.Equal(got, []string{book.ID}) {
		t.Errorf("another took its place, and it is back: %v", got)
	}
}

// TestLostWhileEnding says so where state is gone with it, and the event goes on.
func TestLostWhileEnding(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	l.reports(t, all[0].ID, live)
	o, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name)
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	l.cloud.change(func(f *fakeCloud) { clear(f.machines) })
	l.polls(t, 4)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	l.checkReceipt(t, e, "Its machine went away before its final backup came. What it had sent before is kept.")
	checkState(t, "the end", stored[Operation](t, l.testConsole, o.ID).State, OperationFailed)
}

// TestTurnedOff: an instance that ended by its own clock is taken away once its backup
// came; one that is off without it is not.
func TestTurnedOff(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice"}))
	book, board := all[0], all[1]
	l.reports(t, book.ID, live)
	l.cloud.change(func(f *fakeCloud) {
		for id, m := range f.machines {
			m.State, m.Detail = MachineStopped, "it was turned off"
			f.machines[id] = m
		}
	})
	l.polls(t, 1)
	if got := l.cloud.instances(); !slices.Equal(got, []string{book.ID}) {
		t.Errorf("off: %v are left", got)
	}
	checkState(t, "without state", stored[Instance](t, l.testConsole, board.ID).State, InstanceGone)
	i := stored[Instance](t, l.testConsole, book.ID)
	if i.State != InstanceLive || i.Failure != "its machine is off; it was turned off" || i.Stopped.IsZero() {
		t.Errorf("with state: %s, %q", i.State, i.Failure)
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if e = stored[Event](t, l.testConsole, e.ID); !strings.Contains(e.Stuck, "its machine is off, and its final backup did not come") || len(l.cloud.instances()) != 1 {
		t.Errorf("ended: %q, machines %v", e.Stuck, l.cloud.instances())
	}
}

func TestEndsByItsOwnClock(t *testing.T) {
	l := newLiving(t)
	_, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	l.reports(t, id, live)
	l.keeps(t, id)
	if len(l.cloud.instances()) != 1 {
		t.Error("a backup alone took it away")
	}
	l.reports(t, id, over)
	checkState(t, "over", stored[Instance](t, l.testConsole, id).State, InstanceGone)
}

// TestStrangers: a machine of nobody's is ended after a while, but not one that was there
// before this console was started: its store may be an old backup.
func TestStrangers(t *testing.T) {
	l := newLiving(t)
	l.cloud.change(func(f *fakeCloud) {
		f.machines["old-abc-1"] = Machine{Instance: "old-abc-1", ID: "m-1", State: MachineRunning, Launched: aDay.Add(-time.Hour)}
		f.machines["new-abc-1"] = Machine{Instance: "new-abc-1", ID: "m-2", State: MachineRunning, Launched: aDay.Add(time.Second)}
	})
	l.polls(t, 3)
	if len(l.cloud.instances()) != 2 {
		t.Error("it was ended at once")
	}
	l.polls(t, 4)
	if got := l.cloud.instances(); !slices.Equal(got, []string{"old-abc-1"}) {
		t.Errorf("left are %v", got)
	}
}

// TestTakenAwayAgain: a machine that cannot be taken away is tried again, and the event
// says so; nothing is said to be gone before it is.
func TestTakenAwayAgain(t *testing.T) {
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	l.cloud.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "terminate" {
				return fmt.Errorf("end it: %w", context.DeadlineExceeded)
			}
			return nil
		}
	})
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	if e = stored[Event](t, l.testConsole, e.ID); e.State != EventEnded || !strings.Contains(e.Stuck, "could not be taken away: the cloud did not answer in time") {
		t.Errorf("%s: %q", e.State, e.Stuck)
	}
	l.cloud.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, longestPause)
	if e = stored[Event](t, l.testConsole, e.ID); e.State != EventArchived || e.Stuck != "" {
		t.Errorf("%s: %q", e.State, e.Stuck)
	}
}

// TestCloudThatDoesNotAnswer: nothing is lost by a list that cannot be had.
func TestCloudThatDoesNotAnswer(t *testing.T) {
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	l.cloud.change(func(f *fakeCloud) {
		f.fails = func(call, _ string) error {
			if call == "machines" {
				return errors.New("503")
			}
			return nil
		}
	})
	l.polls(t, 10)
	checkState(t, "instance", l.instances(t, e.ID)[0].State, InstanceStarting)
}

// TestLoop runs the loop itself: it launches what is written down by others, as soon as
// it is told, and ends with its context.
func TestLoop(t *testing.T) {
	c := newConsole(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.reconcile(ctx) }()
	o, err := c.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice", Count: 40}), "")
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); len(c.cloud.instances()) < len(o.Instances); {
		if time.Now().After(deadline) {
			t.Fatalf("only %d machines", len(c.cloud.instances()))
		}
		changed := c.store.Changed()
		select {
		case <-changed:
		case <-time.After(100 * time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestPauses(t *testing.T) {
	last := time.Duration(0)
	for tries := 1; tries < 100; tries++ {
		pause := pauseAfter(tries)
		if pause < last || pause < firstPause || pause > longestPause {
			t.Errorf("after %d tries it waits %s", tries, pause)
		}
		last = pause
	}
	checkState(t, "the longest", last, longestPause)
}

// TestMissingIsForgotten: what was not listed once, since its machine was just taken away,
// does not have the clouds asked more often for ever.
func TestMissingIsForgotten(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice"}))
	l.cloud.change(func(f *fakeCloud) { clear(f.machines) })
	l.polls(t, 1)
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	l.polls(t, 1)
	if state := stored[Instance](t, l.testConsole, all[0].ID).State; len(l.reconciler.missing) != 0 || !state.Over() {
		t.Errorf("it is %s, and still looked for: %v", state, l.reconciler.missing)
	}
}
