package datasync

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

// minPeriod is the shortest time between two runs: a source is shared.
const minPeriod = time.Minute

const scheduleHelp = `write @every 10m, @hourly, or five fields like "*/15 8-18 * * 1-5" (minute hour day month weekday)`

var cronParser = cron.NewParser(cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)

// A Schedule says when something runs. Instances with different ids run at
// different moments: within a minute of the cron line, or anywhere in the period
// of @every. A fleet takes as much longer as it needs to stay within what a host
// bears. The zero value never runs.
type Schedule struct {
	spec    cron.Schedule
	offset  time.Duration
	backoff Backoff // after what failed
}

// ParseSchedule reads five cron fields, a descriptor like @hourly, or @every with
// at least a minute. zone is an IANA time zone, empty for UTC; CRON_TZ=ZONE before
// the line wins over it. instance is what the spread is made of, and fleet is how
// many instances read the same repository alike; 0: one.
func ParseSchedule(line, zone, instance string, fleet int) (Schedule, error) {
	rest := strings.TrimSpace(line)
	if strings.HasPrefix(rest, "CRON_TZ=") || strings.HasPrefix(rest, "TZ=") {
		first, after, _ := strings.Cut(rest, " ")
		_, zone, _ = strings.Cut(first, "=")
		rest = strings.TrimSpace(after)
	}
	location, err := time.LoadLocation(zone)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: the time zone %s is not known here; write one like Europe/Berlin", strconv.Quote(zone))
	}
	if every, ok := strings.CutPrefix(rest, "@every "); ok {
		return parseEvery(strings.TrimSpace(every), instance, fleet)
	}
	spec, err := cronParser.Parse(rest)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %s is not a schedule (%v); %s", strconv.Quote(line), err, scheduleHelp)
	}
	fields, ok := spec.(*cron.SpecSchedule)
	if !ok || spec.Next(time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)).IsZero() {
		return Schedule{}, fmt.Errorf("read schedule: %s never comes", strconv.Quote(line))
	}
	fields.Location = location
	window := max(minPeriod, share(fleet))
	if window > minPeriod {
		spec = thinned{fields, window}
	}
	return Schedule{spec: spec, offset: spread(instance, window), backoff: Backoff{Instance: instance, Fleet: fleet}}, nil
}

func parseEvery(text, instance string, fleet int) (Schedule, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %s is not a length of time; write one with h, m or s, like @every 10m", strconv.Quote(text))
	}
	if d < minPeriod {
		return Schedule{}, fmt.Errorf("read schedule: @every %s is more often than once a minute; write @every 1m or longer", text)
	}
	d = max(d, share(fleet))
	return Schedule{spec: every(d), offset: spread(instance, d), backoff: Backoff{Instance: instance, Fleet: fleet}}, nil
}

// every is a period, counted from a fixed moment: a restart does not move it.
type every time.Duration

func (e every) Next(t time.Time) time.Time {
	return t.Truncate(time.Duration(e)).Add(time.Duration(e))
}

// thinned leaves out the runs of a cron line that come sooner than gap after the
// one before. It counts from midnight, so that all of a fleet, and an instance that
// was started again, leave out the same ones.
type thinned struct {
	cron.Schedule
	gap time.Duration // whole seconds, less than a day
}

func (t thinned) Next(after time.Time) time.Time {
	const day = 24 * time.Hour
	for midnight := after.UTC().Truncate(day); ; midnight = midnight.Add(day) {
		first := t.Schedule.Next(midnight.Add(-time.Second))
		if first.IsZero() {
			return first
		}
		midnight = first.UTC().Truncate(day)
		tomorrow := t.Schedule.Next(midnight.Add(day - time.Second))
		for run := first; !run.IsZero() && run.Before(midnight.Add(day)); run = t.Schedule.Next(run.Add(t.gap - time.Second)) {
			if run != first && !tomorrow.IsZero() && tomorrow.Sub(run) < t.gap {
				break
			}
			if run.After(after) {
				return run
			}
		}
	}
}

// Next is when it next runs after now; zero: never.
func (s Schedule) Next(now time.Time) time.Time {
	if s.spec == nil {
		return time.Time{}
	}
	next := s.spec.Next(now.Add(-s.offset))
	if next.IsZero() {
		return next
	}
	return next.Add(s.offset)
}

// Period is the time between the next two runs after now; 0: it never runs.
func (s Schedule) Period(now time.Time) time.Duration {
	first := s.Next(now)
	if first.IsZero() {
		return 0
	}
	second := s.Next(first)
	if second.IsZero() {
		return 0
	}
	return second.Sub(first)
}

// errNever is why Run returns at once.
var errNever = errors.New("run schedule: it never comes")

// recheck is how often Run looks at the clock: one that is set goes unnoticed no longer.
const recheck = time.Minute

// Run calls fn whenever the schedule says so, until ctx ends, and returns ctx's
// error. Runs never overlap: those that come while fn still runs are left out.
func (s Schedule) Run(ctx context.Context, fn func(context.Context)) error {
	for {
		if err := s.await(ctx); err != nil {
			return err
		}
		fn(ctx)
	}
}

// await waits until the schedule next says so, or until ctx ends, whose error it returns.
func (s Schedule) await(ctx context.Context) error {
	due := s.Next(time.Now())
	if due.IsZero() {
		return errNever
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timer.C:
		}
		if s.isDue(time.Now(), &due) {
			return nil
		}
		if due.IsZero() {
			return errNever
		}
		timer.Reset(min(time.Until(due.Round(0)), recheck))
	}
}

// isDue says whether due has come, by the clock on the wall. Where that clock was
// set back, due comes earlier as well.
func (s Schedule) isDue(now time.Time, due *time.Time) bool {
	now = now.Round(0)
	if !now.Before(*due) {
		return true
	}
	if next := s.Next(now); next.Before(*due) {
		*due = next
	}
	return false
}
