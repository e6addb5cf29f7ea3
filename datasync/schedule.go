package datasync

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
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
// of @every. The zero value never runs.
type Schedule struct {
	spec   cron.Schedule
	offset time.Duration
}

// ParseSchedule reads five cron fields, a descriptor like @hourly, or @every with
// at least a minute. zone is an IANA time zone, empty for UTC; CRON_TZ=ZONE before
// the line wins over it. instance is what the spread is made of.
func ParseSchedule(line, zone, instance string) (Schedule, error) {
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
		return parseEvery(strings.TrimSpace(every), instance)
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
	return Schedule{spec: spec, offset: spread(instance, time.Minute)}, nil
}

func parseEvery(text, instance string) (Schedule, error) {
	d, err := time.ParseDuration(text)
	if err != nil {
		return Schedule{}, fmt.Errorf("read schedule: %s is not a length of time; write one with h, m or s, like @every 10m", strconv.Quote(text))
	}
	if d < minPeriod {
		return Schedule{}, fmt.Errorf("read schedule: @every %s is more often than once a minute; write @every 1m or longer", text)
	}
	return Schedule{spec: every(d), offset: spread(instance, d)}, nil
}

// every is a period, counted from a fixed moment: a restart does not move it.
type every time.Duration

func (e every) Next(t time.Time) time.Time {
	return t.Truncate(time.Duration(e)).Add(time.Duration(e))
}

// spread is a moment within d that only depends on the instance.
func spread(instance string, d time.Duration) time.Duration {
	h := fnv.New64a()
	h.Write([]byte(instance)) // never fails
	return time.Duration(h.Sum64() % uint64(d))
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
			fn(ctx)
			due = s.Next(time.Now())
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
