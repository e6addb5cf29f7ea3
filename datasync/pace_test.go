package datasync

import (
	"context"
	"errors"
	"fmt"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/git"
)

var (
	errPasses = &git.Error{Class: git.Unreachable, Retry: true}
	errStays  = &git.Error{Class: git.NotRepository}
)

func limited(after time.Duration) error {
	return fmt.Errorf("sync data: %w", &git.Error{Class: git.RateLimited, Retry: true, After: after})
}

func TestBackoffWaits(t *testing.T) {
	for name, c := range map[string]struct {
		backoff     Backoff
		failed      int
		err         error
		least, most time.Duration
	}{
		"first":                  {Backoff{}, 1, errPasses, time.Minute, 90 * time.Second},
		"second":                 {Backoff{}, 2, errPasses, time.Minute, 2 * time.Minute},
		"fifth":                  {Backoff{}, 5, errPasses, time.Minute, 9 * time.Minute},
		"for a week":             {Backoff{}, 10_000, errPasses, time.Minute, time.Hour},
		"none yet":               {Backoff{}, 0, nil, time.Minute, 90 * time.Second},
		"a boot":                 {Backoff{First: 2 * time.Second, Least: time.Second, Most: time.Minute}, 1, errPasses, time.Second, 3 * time.Second},
		"a long boot":            {Backoff{First: 2 * time.Second, Least: time.Second, Most: time.Minute}, 50, errPasses, time.Second, time.Minute},
		"asked to wait":          {Backoff{}, 1, limited(10 * time.Minute), 10 * time.Minute, 10*time.Minute + 30*time.Second},
		"asked for less":         {Backoff{}, 1, limited(time.Second), time.Minute, 90 * time.Second},
		"asked beyond the most":  {Backoff{Most: 2 * time.Minute}, 9, limited(time.Hour), time.Hour, time.Hour + time.Minute},
		"a fleet":                {Backoff{Fleet: 10_000}, 1, errPasses, 667 * time.Second, 2 * 667 * time.Second},
		"a fleet that boots":     {Backoff{Fleet: 10_000, First: 2 * time.Second, Least: time.Second, Most: time.Minute}, 1, errPasses, 667 * time.Second, 2 * 667 * time.Second},
		"a fleet asked to wait":  {Backoff{Fleet: 10_000}, 1, limited(time.Hour), time.Hour, time.Hour + 667*time.Second},
		"a fleet of nonsense":    {Backoff{Fleet: -7}, 1, errPasses, time.Minute, 90 * time.Second},
		"a fleet beyond all":     {Backoff{Fleet: 1 << 60}, 1, errPasses, 18 * time.Hour, 38 * time.Hour},
		"most that is below all": {Backoff{Most: time.Second}, 3, errPasses, time.Minute, 61 * time.Second},
	} {
		seen := map[time.Duration]bool{}
		for n := range 200 {
			c.backoff.Instance = fmt.Sprintf("%x data", n*n*7919)
			wait := c.backoff.Wait(c.failed, c.err)
			if wait < c.least || wait > c.most {
				t.Errorf("%s: it waits %v; want %v to %v", name, wait, c.least, c.most)
				break
			}
			if again := c.backoff.Wait(c.failed, c.err); again != wait {
				t.Errorf("%s: it waits %v, and then %v", name, wait, again)
			}
			seen[wait] = true
		}
		if len(seen) < 190 {
			t.Errorf("%s: 200 instances wait for %d lengths of time", name, len(seen))
		}
	}
}

// TestBackoffDecides: what may pass is tried before the schedule says so, what
// somebody must mend is not, and who asked for peace has it.
func TestBackoffDecides(t *testing.T) {
	now := newClock().Now()
	soon, late := now.Add(2*time.Minute), now.Add(6*time.Hour)
	for name, c := range map[string]struct {
		err         error
		planned     time.Time
		least, most time.Duration // 0: by the schedule
	}{
		"network":                     {errPasses, late, time.Minute, 90 * time.Second},
		"network, scheduled soon":     {errPasses, now.Add(time.Minute), 0, 0},
		"wrong address":               {errStays, late, 0, 0},
		"gate":                        {&GateError{"r", GateShrink, errPasses}, late, 0, 0},
		"refused before":              {&RefusedError{}, late, 0, 0},
		"app's own":                   {errors.New("it does not start"), late, 0, 0},
		"moved":                       {fmt.Errorf("fetch: %w", ErrMoved), late, time.Minute, 90 * time.Second},
		"disk":                        {&DiskFullError{Err: syscall.ENOSPC}, late, time.Minute, 90 * time.Second},
		"says so itself":              {transient{true}, late, time.Minute, 90 * time.Second},
		"says it is not":              {transient{false}, late, 0, 0},
		"asked to wait":               {limited(time.Hour), late, time.Hour, time.Hour + time.Minute},
		"asked to wait past schedule": {limited(time.Hour), soon, time.Hour, time.Hour + time.Minute},
		"refused, asked to wait past": {&git.Error{Class: git.Credentials, After: time.Hour}, soon, time.Hour, time.Hour + time.Minute},
		"asked for less than planned": {limited(90 * time.Second), now.Add(91 * time.Second), 0, 0},
	} {
		at := Backoff{Instance: "9f3a"}.next(now, c.planned, 1, c.err)
		switch wait := at.Sub(now); {
		case c.most == 0 && !at.IsZero():
			t.Errorf("%s: it is tried after %v; want it to wait for the schedule", name, wait)
		case c.most != 0 && (wait < c.least || wait > c.most):
			t.Errorf("%s: it is tried after %v; want %v to %v", name, wait, c.least, c.most)
		}
	}
}

type transient struct{ is bool }

func (e transient) Error() string   { return "of another kind" }
func (e transient) Transient() bool { return e.is }

func TestFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := schedule(t, "@every 1h", "", "9f3a data")
		backoff := Backoff{Instance: "9f3a data"}
		answers := []error{nil, errPasses, errPasses, nil, errStays, limited(3 * time.Hour), nil}
		var tries, plans []time.Time
		done := make(chan error, 1)
		go func() {
			plan := func(at time.Time) { plans = append(plans, at) }
			done <- follow(ctx, s, backoff, plan, func(context.Context) error {
				tries = append(tries, time.Now())
				if n := len(tries); n <= len(answers) {
					return answers[n-1]
				}
				cancel()
				return errPasses
			})
		}()
		first := s.Next(time.Now())
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		wait := func(failed int, err error) time.Duration { return backoff.Wait(failed, err) }
		peace := first.Add(3*time.Hour + wait(2, limited(3*time.Hour)))
		want := []time.Time{
			first, first.Add(time.Hour),
			first.Add(time.Hour + wait(1, errPasses)),
			first.Add(time.Hour + wait(1, errPasses) + wait(2, errPasses)),
			first.Add(2 * time.Hour), // all is well: by the schedule again
			first.Add(3 * time.Hour), // what stays wrong waits for it, too
			peace,
			s.Next(peace),
		}
		if fmt.Sprint(tries) != fmt.Sprint(want) {
			t.Errorf("tries were at\n%v; want\n%v", tries, want)
		}
		for n, at := range plans {
			if !at.IsZero() && !at.Equal(tries[n]) {
				t.Errorf("try %d was told to be at %v and was at %v", n, at, tries[n])
			}
			if sooner := n == 2 || n == 3 || n == 6; at.IsZero() == sooner {
				t.Errorf("try %d was planned for %v", n, at)
			}
		}
	})
}

// TestFollowStops while it waits to try again.
func TestFollowStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() {
			done <- follow(ctx, schedule(t, "@hourly", "", "i"), Backoff{}, func(time.Time) {}, func(context.Context) error {
				time.AfterFunc(time.Second, cancel)
				return errPasses
			})
		}()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
	})
	if err := follow(t.Context(), Schedule{}, Backoff{}, func(time.Time) {}, nil); !errors.Is(err, errNever) {
		t.Errorf("without a schedule it ends with %v", err)
	}
}

// TestFleetKeepsWithinTheBudget: in a day, and in its busiest minutes, a fleet asks
// no more than 15 times a second.
func TestFleetKeepsWithinTheBudget(t *testing.T) {
	const fleet, sampled, minutes = 10_000, 40, 6
	begin := time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC)
	for line, most := range map[string]int{ // reads of one instance in a day
		"@every 1m": 131, "@every 1h": 24, "*/5 * * * *": 96, "* * * * *": 120, "0,1 * * * *": 24, "0 3 * * *": 1,
		"*/15 8-18 * * 1-6": 44, "58,59 23 * * *": 1, "0,59 0,23 * * *": 4, "CRON_TZ=Europe/Berlin @daily": 1,
	} {
		busy := map[int64]int{}
		for n := range sampled {
			s := schedule(t, line, "", fmt.Sprintf("i-%d data", n), fleet)
			runs, before := 0, time.Time{}
			for at := s.Next(begin); at.Before(begin.Add(24 * time.Hour)); at = s.Next(at) {
				if gap := at.Sub(before); gap < fleet/readsPerSecond*time.Second {
					t.Fatalf("%s: one instance runs again after %v", line, gap)
				}
				busy[at.Unix()/60/minutes]++
				runs, before = runs+1, at
			}
			if runs > most || runs < most*2/3 {
				t.Fatalf("%s: one instance runs %d times; want %d", line, runs, most)
			}
		}
		for slot, n := range busy {
			if perSecond := float64(n) / 60 / minutes * fleet / sampled; perSecond > 1.3*readsPerSecond { // a sample is coarse
				t.Errorf("%s: minute %d has %.1f reads a second", line, slot*minutes%1440, perSecond)
			}
		}
	}
}

// TestNumberedInstancesComeEvenly: no second has more than one and a half times
// the mean, which a hash alone would not do.
func TestNumberedInstancesComeEvenly(t *testing.T) {
	const fleet = 10_000
	for _, name := range []string{"i-%d", "fair-%05d data", "i-%d.zone-b service"} {
		busy := make([]int, fleet/readsPerSecond+1)
		for n := range fleet {
			busy[spread(fmt.Sprintf(name, n), share(fleet))/time.Second]++
		}
		for second, n := range busy {
			if float64(n) > 1.5*readsPerSecond {
				t.Errorf("%s: second %d has %d reads", name, second, n)
			}
		}
	}
	if a, b := spread("fair-1", time.Hour), spread("board-1", time.Hour); a == b {
		t.Error("two fleets come at the same moments")
	}
}
