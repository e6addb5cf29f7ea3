package ending

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

func TestEndThatIsMoved(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, Options{Clock: confirmedClock()})
		time.Sleep(72*time.Hour - time.Minute)
		want(t, e, Frozen)
		if err := e.SetEnd(wire.End{At: "2000-01-07"}); err != nil {
			t.Fatal(err)
		}
		want(t, e, Running)
		if err := e.SetEnd(wire.End{At: "7 January"}); err == nil {
			t.Error("took an end that is not a date")
		}
		if err := e.SetEnd(wire.End{}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(1000 * time.Hour)
		if d := want(t, e, Running); d.Reason != "It has no end." || !d.At.IsZero() {
			t.Errorf("%s: %s", d.At, d.Reason)
		}
		if err := e.SetEnd(thirdOfJanuary); err != nil {
			t.Fatal(err)
		}
		want(t, e, Over)
		if err := e.SetEnd(wire.End{At: "2001-01-01"}); !errors.Is(err, ErrOver) {
			t.Errorf("after the end: %v", err)
		}
	})
}

func TestEndMovedWhileItIsDecided(t *testing.T) {
	bubble(t, func(t *testing.T) {
		clock := confirmedClock()
		e := start(t, Options{Clock: clock})
		time.Sleep(72 * time.Hour)
		clock.hold = func() {
			if err := e.SetEnd(wire.End{At: "2000-02-01"}); err != nil {
				t.Error(err)
			}
		}
		want(t, e, Running)
	})
}

func TestOverOutlivesARestart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, Options{Clock: confirmedClock()})
		time.Sleep(72 * time.Hour)
		want(t, e, Over)
		snapshot := restart(t, e.Snapshot())
		unsure := &fakeClock{err: errors.New("no network"), ahead: -50 * time.Hour}
		want(t, start(t, Options{Clock: unsure, Snapshot: &snapshot}), Over)
		// Given another end, it begins afresh.
		want(t, start(t, Options{Clock: confirmedClock(), Snapshot: &snapshot, End: wire.End{At: "2000-02-01"}}), Running)
	})
}

func TestAskedEndHolds(t *testing.T) {
	bubble(t, func(t *testing.T) {
		asked := thirdOfJanuary
		e := start(t, Options{Clock: confirmedClock(), Ask: func(context.Context) (wire.End, error) { return asked, nil }})
		time.Sleep(72*time.Hour - time.Minute)
		want(t, e, Frozen)
		asked = wire.End{At: "2000-01-05"}
		time.Sleep(time.Minute)
		want(t, e, Running)
		asked = wire.End{At: "2000-01-04"}
		time.Sleep(24 * time.Hour)
		want(t, e, Over) // asked a day before the end, and moved nearer
	})
}

func TestGraceWhenNobodyAnswers(t *testing.T) {
	bubble(t, func(t *testing.T) {
		down := errors.New("console is down")
		opts := Options{Clock: confirmedClock(), Ask: func(context.Context) (wire.End, error) { return wire.End{}, down }}
		e := start(t, opts)
		time.Sleep(72 * time.Hour)
		d := want(t, e, Grace)
		if !strings.Contains(d.Reason, "at most ten minutes more") || d.Detail != "ask whether the end was moved: console is down" {
			t.Errorf("%s / %s", d.Reason, d.Detail)
		}
		time.Sleep(6 * time.Minute)
		want(t, e, Grace)
		snapshot := restart(t, e.Snapshot())
		time.Sleep(time.Hour) // switched off
		opts.Snapshot = &snapshot
		e = start(t, opts)
		want(t, e, Grace)
		time.Sleep(3*time.Minute + 59*time.Second)
		want(t, e, Grace)
		time.Sleep(time.Second)
		want(t, e, Over)
	})
}

func TestGraceIsOverWithAnAnswer(t *testing.T) {
	for name, test := range map[string]struct {
		answer wire.End
		step   Step
	}{
		"not moved": {thirdOfJanuary, Over},
		"moved":     {wire.End{At: "2000-03-01"}, Running},
		"nonsense":  {wire.End{At: "soon"}, Grace},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				err := errors.New("console is down")
				e := start(t, Options{Clock: confirmedClock(), Ask: func(context.Context) (wire.End, error) { return test.answer, err }})
				time.Sleep(72 * time.Hour)
				want(t, e, Grace)
				err = nil
				time.Sleep(time.Minute)
				want(t, e, test.step)
			})
		})
	}
}

func TestCancelledDecisionChangesNothing(t *testing.T) {
	bubble(t, func(t *testing.T) {
		e := start(t, Options{Clock: confirmedClock(), Ask: func(ctx context.Context) (wire.End, error) { return thirdOfJanuary, ctx.Err() }})
		time.Sleep(72*time.Hour - time.Minute)
		want(t, e, Frozen)
		time.Sleep(time.Minute)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d := e.Decide(ctx); d.Step != Frozen {
			t.Errorf("cancelled: %s", d.Step)
		}
		if s := e.Snapshot(); s.Over || s.Grace != 0 {
			t.Errorf("cancelled: %+v", s)
		}
	})
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	for _, test := range []struct {
		opts Options
		want string
	}{
		{Options{}, "make an ending: it has no clock"},
		{Options{Clock: confirmedClock(), End: wire.End{At: "soon"}}, `end "soon" is not a date; write 2026-05-31, or 2026-05-31T18:00`},
		{Options{Clock: confirmedClock(), End: wire.End{At: "2026-05-31", Warn: -1}}, `end "2026-05-31" warns or freezes after it; give durations that are not negative`},
	} {
		if _, err := New(test.opts); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
