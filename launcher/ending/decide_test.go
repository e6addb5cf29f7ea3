package ending

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// A fakeClock goes with the bubble's clock, which begins at 2000-01-01, and can be
// set apart from it.
type fakeClock struct {
	ahead time.Duration
	right bool
	err   error
	asked int
	hold  func() // called while a confirmation is under way
}

func (c *fakeClock) Now() time.Time { return time.Now().Add(c.ahead) }

func (c *fakeClock) Confirm(context.Context) (Confirmation, error) {
	c.asked++
	if c.hold != nil {
		c.hold()
	}
	return Confirmation{OK: c.right, By: "the clocks of a and b", Offset: c.ahead}, c.err
}

func confirmedClock() *fakeClock { return &fakeClock{right: true} }

// bubble runs a test whose end is 2000-01-03, that is 72 hours after its beginning.
func bubble(t *testing.T, test func(t *testing.T)) { t.Helper(); synctest.Test(t, test) }

var thirdOfJanuary = wire.End{At: "2000-01-03"}

func start(t *testing.T, opts Options) *Ending {
	t.Helper()
	if opts.End.At == "" {
		opts.End = thirdOfJanuary
	}
	e, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func want(t *testing.T, e *Ending, step Step) Decision {
	t.Helper()
	d := e.Decide(t.Context())
	if d.Step != step {
		t.Fatalf("at %s: %s (%s %s), want %s", time.Now().UTC().Format(time.DateTime), d.Step, d.Reason, d.Detail, step)
	}
	if (d.Next == 0) != (step == Over) || d.Next < 0 || d.Next > time.Hour {
		t.Fatalf("%s holds for %s", step, d.Next)
	}
	return d
}

func TestStepsOfAnEnd(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, Options{Clock: confirmedClock()})
		begin := time.Now()
		var steps []string
		for {
			d := e.Decide(t.Context())
			if len(steps) == 0 || !strings.HasPrefix(steps[len(steps)-1], d.Step.String()) {
				steps = append(steps, d.Step.String()+" "+time.Since(begin).String())
			}
			if d.Next == 0 {
				break
			}
			time.Sleep(d.Next)
		}
		if got := strings.Join(steps, ", "); got != "running 0s, warned 48h0m0s, frozen 71h50m0s, over 72h0m0s" {
			t.Errorf("steps: %s", got)
		}
	})
}

func TestSentences(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, Options{Clock: confirmedClock()})
		const when = "at the end of 3 January 2000 (UTC)"
		for _, next := range []struct {
			after time.Duration
			step  Step
			want  string
		}{
			{0, Running, "It ends " + when + "."},
			{48 * time.Hour, Warned, "It ends soon: " + when + "."},
			{24*time.Hour - 5*time.Minute, Frozen, "It ends " + when + ". It can be read until then, but not changed."},
			{5 * time.Minute, Over, "It ended " + when + "."},
		} {
			time.Sleep(next.after)
			if d := want(t, e, next.step); d.Reason != next.want || !d.At.Equal(time.Date(2000, 1, 4, 0, 0, 0, 0, time.UTC)) {
				t.Errorf("%s at %s: %s", d.Step, d.At, d.Reason)
			}
		}
	})
}

func TestOwnWarnAndFreeze(t *testing.T) {
	bubble(t, func(t *testing.T) {
		end := wire.End{At: "2000-01-01T02:00", Warn: apps.Duration(time.Hour), Freeze: apps.Duration(30 * time.Minute)}
		e := start(t, Options{Clock: confirmedClock(), End: end})
		want(t, e, Running)
		time.Sleep(time.Hour)
		want(t, e, Warned)
		time.Sleep(30 * time.Minute)
		want(t, e, Frozen)
		end = wire.End{At: "2000-01-01T04:00", Warn: apps.Duration(time.Minute), Freeze: apps.Duration(2 * time.Hour)}
		if err := e.SetEnd(end); err != nil {
			t.Fatal(err)
		}
		want(t, e, Running)
		time.Sleep(30 * time.Minute)
		want(t, e, Frozen) // before the warning, which it is as well
	})
}

func TestFarFromAnEndTheClockIsNotAsked(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		want(t, e, Running)
		time.Sleep(47 * time.Hour)
		want(t, e, Running)
		if clock.asked != 0 {
			t.Errorf("asked %d times", clock.asked)
		}
	})
}

func TestJumpNeverEnds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(50 * time.Hour)
		want(t, e, Warned)
		clock.ahead = 10 * 365 * 24 * time.Hour
		clock.right, clock.err = false, errors.New("nobody answered")
		d := want(t, e, Warned)
		if !strings.Contains(d.Detail, "nobody answered") {
			t.Errorf("detail: %s", d.Detail)
		}
		clock.err = nil // the others say what time it is
		d = want(t, e, Warned)
		if d.Detail != "the clock is not confirmed: it is 10 years ahead of the clocks of a and b" {
			t.Errorf("detail: %s", d.Detail)
		}
		clock.ahead, clock.right = 0, true // somebody set it right
		time.Sleep(time.Hour)
		if d := want(t, e, Warned); d.Detail != "" {
			t.Errorf("detail: %s", d.Detail)
		}
	})
}

func TestJumpWithinTheHourOfAConfirmation(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(71 * time.Hour)
		want(t, e, Warned)
		clock.ahead, clock.err = 2*time.Hour, errors.New("nobody answered")
		time.Sleep(time.Minute)
		if d := want(t, e, Warned); d.Detail != "the clock is not confirmed: nobody answered" {
			t.Errorf("detail: %s", d.Detail)
		}
	})
}

func TestJumpWhileTheClockIsConfirmed(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(71 * time.Hour)
		clock.hold = func() { clock.ahead = 5 * time.Hour }
		if d := want(t, e, Warned); d.Detail != "the clock is not confirmed: it jumped by 5 hours" {
			t.Errorf("detail: %s", d.Detail)
		}
	})
}

func TestFreezeIsTakenBackWhenTheClockWasWrong(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(72*time.Hour - time.Minute)
		want(t, e, Frozen)
		clock.ahead = -60 * time.Hour
		want(t, e, Running)
	})
}

func TestConfirmationLastsAnHour(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(72*time.Hour - 50*time.Minute)
		want(t, e, Warned)
		clock.err = errors.New("the network is down")
		time.Sleep(45 * time.Minute)
		want(t, e, Frozen) // confirmed 45 minutes ago, and the clocks did not part
		time.Sleep(5 * time.Minute)
		want(t, e, Over)
	})
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(72*time.Hour - 70*time.Minute)
		want(t, e, Warned)
		clock.err = errors.New("the network is down")
		time.Sleep(65 * time.Minute)
		want(t, e, Warned)
		clock.err = nil
		want(t, e, Frozen)
	})
}

func TestEveryStepAsksTheClockAgain(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(72*time.Hour - 15*time.Minute)
		want(t, e, Warned)
		for i, step := range []Step{Frozen, Over} {
			time.Sleep(8 * time.Minute)
			clock.asked = 0
			want(t, e, step)
			if clock.asked != 1 {
				t.Errorf("step %d: asked %d times", i, clock.asked)
			}
		}
	})
}

func TestUnconfirmedEndActsAfterADayOfUptime(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := &fakeClock{err: errors.New("no network")}
		opts := Options{Clock: clock}
		e := start(t, opts)
		time.Sleep(72 * time.Hour)
		d := want(t, e, Warned)
		if !strings.HasPrefix(d.Reason, "It should have ended at the end of 3 January 2000 (UTC), but") || strings.Contains(d.Reason, "network") {
			t.Errorf("reason: %s", d.Reason)
		}
		time.Sleep(14 * time.Hour)
		want(t, e, Warned)

		// A week switched off does not count as uptime.
		snapshot := restart(t, e.Snapshot())
		time.Sleep(7 * 24 * time.Hour)
		opts.Snapshot = &snapshot
		e = start(t, opts)
		want(t, e, Warned)
		time.Sleep(10*time.Hour - 11*time.Minute)
		want(t, e, Warned)
		time.Sleep(2 * time.Minute)
		if d := want(t, e, Frozen); !strings.Contains(d.Reason, "could not be confirmed for a day") {
			t.Errorf("reason: %s", d.Reason)
		}
		time.Sleep(8 * time.Minute)
		want(t, e, Frozen)
		time.Sleep(time.Minute)
		want(t, e, Over)
	})
}

// restart sends a snapshot through its file.
func restart(t *testing.T, s Snapshot) Snapshot {
	t.Helper()
	text, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	var read Snapshot
	if err := json.Unmarshal(text, &read); err != nil {
		t.Fatalf("read %s: %v", text, err)
	}
	return read
}

func TestConfirmationForgivesWhatWasOverdue(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := &fakeClock{err: errors.New("no network"), ahead: 100 * time.Hour}
		e := start(t, Options{Clock: clock})
		want(t, e, Warned)
		time.Sleep(20 * time.Hour)
		want(t, e, Warned)
		clock.err, clock.right, clock.ahead = nil, true, 0
		want(t, e, Running)
		if s := e.Snapshot(); s.Overdue != 0 {
			t.Errorf("still overdue by %s", s.Overdue)
		}
	})
}

func TestUnconfirmedClockThatJumpsBackWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := &fakeClock{err: errors.New("no network"), ahead: 100 * time.Hour}
		e := start(t, Options{Clock: clock})
		want(t, e, Warned)
		clock.ahead = 0
		want(t, e, Running)
		time.Sleep(30 * time.Hour)
		want(t, e, Running)
	})
}
