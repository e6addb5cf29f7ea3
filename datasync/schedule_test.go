package datasync

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func schedule(t testing.TB, line, zone, instance string, fleet ...int) Schedule {
	t.Helper()
	s, err := ParseSchedule(line, zone, instance, append(fleet, 0)[0])
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestScheduleNext(t *testing.T) {
	now := time.Date(2026, 3, 28, 12, 34, 56, 0, time.UTC) // the day before Berlin's clocks go forward
	for _, c := range []struct {
		line, zone string
		want       string // the beginning of the minute, or of the period
		within     time.Duration
	}{
		{"*/15 * * * *", "", "2026-03-28T12:45:00Z", time.Minute},
		{"@hourly", "", "2026-03-28T13:00:00Z", time.Minute},
		{"0 3 * * *", "Europe/Berlin", "2026-03-29T01:00:00Z", time.Minute},
		{"CRON_TZ=Europe/Berlin 0 3 * * *", "UTC", "2026-03-29T01:00:00Z", time.Minute},
		{"0 3 * * 1", "", "2026-03-30T03:00:00Z", time.Minute},
		{"@every 1h", "", "2026-03-28T12:34:56Z", time.Hour},
	} {
		for _, instance := range []string{"i-1", "i-2", "i-3"} {
			s := schedule(t, c.line, c.zone, instance)
			from, err := time.Parse(time.RFC3339, c.want)
			if err != nil {
				t.Fatal(err)
			}
			next := s.Next(now)
			if next.Before(from) || !next.Before(from.Add(c.within)) || !next.After(now) {
				t.Errorf("%s for %s: next is %s; want it within %v of %s", c.line, instance, next, c.within, from)
			}
			if again := s.Next(now); again != next {
				t.Errorf("%s for %s is not the same twice", c.line, instance)
			}
		}
	}
}

func TestScheduleSpreads(t *testing.T) {
	now := newClock().Now()
	seen := map[time.Duration]int{}
	for n := range 1000 {
		s := schedule(t, "@every 10m", "", fmt.Sprint("i-", n))
		seen[s.Next(now).Sub(now).Truncate(time.Minute)]++
		if s.Period(now) != 10*time.Minute {
			t.Fatalf("the period is %v", s.Period(now))
		}
	}
	for minute, n := range seen {
		if n > 200 {
			t.Errorf("%d of 1000 run in minute %v of ten", n, minute)
		}
	}
	if len(seen) < 10 {
		t.Errorf("they run in %d of ten minutes", len(seen))
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for line, want := range map[string]string{
		"":                           "is not a schedule",
		"* * * *":                    "is not a schedule",
		"* * * * * *":                "is not a schedule",
		"61 * * * *":                 `write @every 10m, @hourly, or five fields`,
		"0 0 30 2 *":                 `"0 0 30 2 *" never comes`,
		"@every 0s":                  "@every 0s is more often than once a minute; write @every 1m or longer",
		"@every -1h":                 "more often than once a minute",
		"@every 30s":                 "more often than once a minute",
		"@every soon":                `"soon" is not a length of time`,
		"@reboot":                    "is not a schedule",
		"CRON_TZ=Nowhere/At @daily":  `the time zone "Nowhere/At" is not known here`,
		"CRON_TZ=Europe/Berlin":      "is not a schedule",
		"TZ=../../etc/passwd @daily": "is not known here",
		"rm -rf /; echo * * * * *":   "is not a schedule",
	} {
		_, err := ParseSchedule(line, "", "i", 0)
		wantText(t, err, "read schedule: ", want)
	}
	_, err := ParseSchedule("@daily", "Mars/Olympus", "i", 0)
	wantText(t, err, `the time zone "Mars/Olympus" is not known here; write one like Europe/Berlin`)
}

func TestRunNeverOverlaps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		s := schedule(t, "@every 10m", "", "i-1")
		due := s.Next(time.Now())
		var began []time.Duration
		inside := false
		done := make(chan error, 1)
		go func() {
			done <- s.Run(ctx, func(context.Context) {
				if inside {
					t.Error("two runs at once")
				}
				inside = true
				began = append(began, time.Since(due))
				if len(began) == 2 {
					time.Sleep(25 * time.Minute) // two ticks long
				}
				inside = false
			})
		}()
		time.Sleep(time.Until(due) + 55*time.Minute)
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("it ended with %v", err)
		}
		want := []time.Duration{0, 10 * time.Minute, 40 * time.Minute, 50 * time.Minute}
		if fmt.Sprint(began) != fmt.Sprint(want) {
			t.Errorf("runs began at %v; want %v", began, want)
		}
	})
}

func TestZeroScheduleNeverRuns(t *testing.T) {
	if err := (Schedule{}).Run(t.Context(), func(context.Context) { t.Error("it ran") }); err == nil {
		t.Error("it says nothing")
	}
	if !(Schedule{}).Next(time.Now()).IsZero() || (Schedule{}).Period(time.Now()) != 0 {
		t.Error("it has a next run")
	}
}

func FuzzParseSchedule(f *testing.F) {
	for _, s := range []string{"*/5 * * * *", "@every 1m", "CRON_TZ=UTC @daily", "TZ=", "@every 9999999h", "0 0 31 2 *"} {
		f.Add(s)
	}
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	f.Fuzz(func(t *testing.T, line string) {
		for _, fleet := range []int{0, 10_000} {
			s, err := ParseSchedule(line, "", "i", fleet)
			if err != nil {
				return
			}
			first := s.Next(now)
			if second := s.Next(first); first.Before(now) || !second.IsZero() && second.Sub(first) < minPeriod {
				t.Errorf("%q for %d runs at %v and %v", line, fleet, first, second)
			}
		}
	})
}

// A clock that was wrong at boot and then set back does not put the next run years away.
func TestClockSetBack(t *testing.T) {
	s := schedule(t, "@every 10m", "", "i-1")
	wrong := time.Date(2038, 1, 1, 0, 0, 0, 0, time.UTC)
	due := s.Next(wrong)
	right := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	if s.isDue(right, &due) {
		t.Error("it runs though nothing is due")
	}
	if wait := due.Sub(right); wait <= 0 || wait > 10*time.Minute {
		t.Errorf("the next run is %v away; want within ten minutes", wait)
	}
	if !s.isDue(due, &due) {
		t.Error("it does not run when it is due")
	}
}
