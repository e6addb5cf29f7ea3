package console

import (
	"slices"
	"testing"
	"time"
)

// A store that was taken back to before an instance enrolled does not know its key. What
// visitors wrote there since is not thrown away with a machine that nobody heard of.
func TestEnrolledAfterTheBackup(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	m := &machine{c: l.testConsole, id: all[0].ID, key: newKey(t)}
	m.report.Version = 1
	if _, err := m.say(t); err == nil {
		t.Fatal("a report of who never enrolled is taken")
	}
	before := l.newest(t)
	if _, err := m.say(t); err == nil || l.newest(t) != before {
		t.Errorf("each such report is written down: %v", err)
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.later(t, 10*patience)
	if !slices.Contains(l.cloud.instances(), m.id) {
		t.Error("it was taken away, and with it what visitors wrote")
	}
	if e := stored[Event](t, l.testConsole, e.ID); e.Stuck != m.id+": it reports with a key that is not known here, as after a restore, and may hold what visitors wrote. "+
		"Nothing is taken away until it comes. Look at its log; or give its state up by name, and it is lost." {
		t.Errorf("its owner is told %q", e.Stuck)
	}
}

// It has a moment to be heard of where the end came while no console ran.
func TestEndedBeforeItIsHeardOf(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	l.clock.advance(e.EndsAt.Sub(l.now()) + time.Hour)
	l.reconciler = newReconciler(l.Console) // another process, later
	l.settle(t)
	l.later(t, mayBeLive-time.Second)
	if !slices.Contains(l.cloud.instances(), id) {
		t.Error("it was taken away before it could be heard of")
	}
	l.later(t, time.Second)
	if slices.Contains(l.cloud.instances(), id) {
		t.Error("nobody was heard of, and its machine is kept")
	}
}
