package console

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A jumper is a console whose clock and uptime part.
type jumper struct {
	*living
	uptime testClock
	logged bytes.Buffer
}

func newJumper(t testing.TB, change ...func(*Options)) *jumper {
	t.Helper()
	j := &jumper{living: newLiving(t, change...), uptime: testClock{now: aDay}}
	j.log = slog.New(slog.NewTextHandler(&j.logged, &slog.HandlerOptions{Level: slog.LevelWarn}))
	j.Console.clock = newClock(j.now, func() time.Duration { return j.uptime.Now().Sub(aDay) }, j.log)
	return j
}

// jumps has the clock jump, and another reconciler, that waits for nothing, settle.
func (j *jumper) jumps(t testing.TB, d time.Duration) {
	t.Helper()
	j.clock.advance(d)
	j.again(t)
}

// passes has time pass.
func (j *jumper) passes(t testing.TB, d time.Duration) {
	t.Helper()
	j.uptime.advance(d)
	j.later(t, d)
}

func (j *jumper) again(t testing.TB) {
	t.Helper()
	j.reconciler = newReconciler(j.Console)
	j.settle(t)
}

// TestJumpEndsNothing: an event whose end comes by a jump is frozen, says why it goes on,
// and ends after an hour in which nobody set the clock right.
func TestJumpEndsNothing(t *testing.T) {
	j := newJumper(t)
	planned := fair(AppRequest{App: "notice"})
	planned.Event.Start, planned.Event.Title = "2026-05-10", "Later"
	later, _ := j.launched(t, planned)
	e, _ := j.launched(t, fair(AppRequest{App: "notice"}))
	j.jumps(t, 60*day)
	is := func(what string, of Event, state EventState, stuck string) {
		t.Helper()
		now := stored[Event](t, j.testConsole, of.ID)
		checkState(t, what, now.State, state)
		checkState(t, what+": stuck", now.Stuck, stuck)
	}
	const why = "The console's clock jumped ahead by 60 days, so that this end may not have come: it is not acted on before 30 June 2026 13:00 UTC by that clock. " +
		"Set the clock right, extend the event, or end it by hand."
	is("after the jump", e, EventFrozen, why)
	is("what was to begin", later, EventScheduled, why)
	before := j.newest(t)
	j.passes(t, doubtFor-time.Second)
	is("an hour later, nearly", e, EventFrozen, why)
	if logged := j.logged.String(); strings.Count(logged, "\n") != 1 || j.newest(t) != before || len(j.cloud.instances()) != 1 {
		t.Errorf("%d machines, %d writes, logged: %s", len(j.cloud.instances()), j.newest(t)-before, logged)
	}
	j.passes(t, time.Second)
	j.passes(t, holdOff)
	is("an hour later", e, EventArchived, "")
}

// TestJumpIsTakenBack: with its clock set right an event is as it was.
func TestJumpIsTakenBack(t *testing.T) {
	j := newJumper(t)
	e, _ := j.launched(t, fair(AppRequest{App: "notice"}))
	j.jumps(t, 60*day)
	j.jumps(t, -60*day)
	if e = stored[Event](t, j.testConsole, e.ID); e.State != EventOpen || e.Stuck != "" || !e.Due.After(j.now()) {
		t.Errorf("%s, due %s: %q", e.State, e.Due, e.Stuck)
	}
	j.passes(t, e.EndsAt.Sub(j.now()))
	checkState(t, "at its end", stored[Event](t, j.testConsole, e.ID).State, EventArchived)
}

// TestJumpAndPeople: what somebody asks for is done, whatever the clock says.
func TestJumpAndPeople(t *testing.T) {
	j := newJumper(t)
	e, _ := j.launched(t, fair(AppRequest{App: "notice"}))
	j.jumps(t, 60*day)
	end := "2026-07-31"
	e, err := j.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{End: &end})
	if err != nil || e.State != EventOpen || e.Stuck != "" {
		t.Errorf("extended: %s, %q, %v", e.State, e.Stuck, err)
	}
	if _, err := j.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	j.again(t)
	checkState(t, "ended by hand", stored[Event](t, j.testConsole, e.ID).State, EventArchived)
	j.jumps(t, 2*defaultPurge)
	checkState(t, "its archives, after a jump", stored[Event](t, j.testConsole, e.ID).State, EventArchived)
	j.passes(t, doubtFor)
	checkState(t, "an hour later", stored[Event](t, j.testConsole, e.ID).State, EventPurged)
}

// TestJumpCountsFromWhenItWas, not from when something is due by it.
func TestJumpCountsFromWhenItWas(t *testing.T) {
	j := newJumper(t)
	j.jumps(t, day)
	j.passes(t, doubtFor)
	if why := j.Console.clock.doubt(); why != "" {
		t.Errorf("an hour later: %q", why)
	}
}

func TestDoubt(t *testing.T) {
	type reading struct {
		clock, uptime time.Duration // that pass before it
		doubted       bool
	}
	both := func(d time.Duration, doubted bool) reading { return reading{d, d, doubted} }
	for name, readings := range map[string][]reading{
		"it goes on":            {both(0, false), both(100*day, false), both(time.Hour, false)},
		"it goes a bit fast":    {{day + mostJump, day, false}, {day + mostJump, day, false}},
		"it jumps":              {{mostJump + 1, 0, true}, both(doubtFor-1, true), both(1, false), both(day, false)},
		"and again":             {{day, 0, true}, both(doubtFor-1, true), {day, 0, true}, both(doubtFor-1, true), both(1, false)},
		"it is set right":       {{day, 0, true}, {time.Minute - day, time.Minute, false}, both(day, false)},
		"nearly right":          {{day, 0, true}, {-day / 2, 0, true}, both(doubtFor, false)},
		"it is set back":        {{-day, 0, false}, both(day, false)},
		"back, and right again": {{-day, 0, false}, {day, 0, true}},
	} {
		now, uptime := aDay, time.Duration(0)
		k := newClock(func() time.Time { return now }, func() time.Duration { return uptime }, slog.New(slog.DiscardHandler))
		for n, r := range readings {
			now, uptime = now.Add(r.clock), uptime+r.uptime
			if why := k.doubt(); (why != "") != r.doubted {
				t.Errorf("%s, reading %d: %q", name, n, why)
			}
		}
	}
}

// TestUptime is of the machine, where no clock is given, and keeps to the one that is.
func TestUptime(t *testing.T) {
	k := newClock(time.Now, uptimeBy(nil), slog.New(slog.DiscardHandler))
	if first := k.uptime(); first <= 0 || k.uptime() < first || k.doubt() != "" {
		t.Errorf("the machine is up for %s: %q", first, k.doubt())
	}
	given := testClock{now: aDay}
	uptime := uptimeBy(given.Now)
	given.advance(day)
	checkState(t, "of a clock that is given", uptime(), day)
}
