package userdata

import (
	"errors"
	"fmt"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

const (
	dateForm   = "2006-01-02"
	minuteForm = "2006-01-02T15:04"
)

// end is when the plan is over: what o says, or the manifest's default, within
// the manifest's bound. Nil is never.
func end(life apps.Lifetime, o Overrides) (*wire.End, error) {
	if o.Now.IsZero() {
		if o.Until != "" {
			return nil, errors.New("an end was given without the time now")
		}
		return nil, nil
	}
	zone := o.Zone
	if zone == nil {
		zone = time.UTC
	}
	until := o.Until
	if until == "" && life.DefaultTTL <= 0 {
		return nil, nil
	}
	if until == "" {
		until = life.DefaultTTL.String()
	}
	written, over, err := ParseUntil(until, o.Now.In(zone))
	if err != nil {
		return nil, err
	}
	if !over.After(o.Now) {
		return nil, fmt.Errorf("the end %s is in the past; it is %s now", written, o.Now.In(zone).Format(minuteForm))
	}
	if longest := time.Duration(life.MaxTTL); longest > 0 && over.Sub(o.Now) > longest {
		return nil, fmt.Errorf("the end %s is later than this app may live, which is until %s (lifetime.max_ttl)",
			written, o.Now.Add(longest).In(zone).Format(minuteForm))
	}
	e := &wire.End{At: written, PowerOff: true}
	if zone != time.UTC {
		e.Zone = zone.String()
	}
	return e, nil
}

// ParseUntil reads an end as a person writes it (2026-05-31, 2026-05-31T18:00, or a
// length of time like 7d), in now's zone. It returns it as a plan holds it, and the
// moment from which it is over.
func ParseUntil(until string, now time.Time) (written string, over time.Time, err error) {
	if day, err := time.Parse(dateForm, until); err == nil { // in no zone: its midnight may not be there
		y, m, d := day.Date()
		over := time.Date(y, m, d+1, 0, 0, 0, 0, now.Location())
		if over.Day() == d { // clocks are set forward over that midnight
			_, over = over.ZoneBounds()
		}
		return until, over, nil
	}
	for _, form := range []string{minuteForm, "2006-01-02 15:04"} {
		if t, err := time.ParseInLocation(form, until, now.Location()); err == nil {
			return t.Format(minuteForm), t, nil
		}
	}
	if t, err := time.Parse(time.RFC3339, until); err == nil {
		return after(t.In(now.Location()), 0)
	}
	d, err := apps.ParseDuration(until)
	if err != nil || d <= 0 {
		return "", time.Time{}, fmt.Errorf("the end %q is neither a day, a time nor a length of time; write 2026-05-31, 2026-05-31T18:00 or 7d", until)
	}
	return after(now, time.Duration(d))
}

// after is d from t in whole minutes, as a plan holds times, never early.
func after(t time.Time, d time.Duration) (string, time.Time, error) {
	over := t.Add(d + time.Minute - 1)
	over = over.Truncate(time.Minute) // zones are whole minutes from UTC
	return over.Format(minuteForm), over, nil
}
