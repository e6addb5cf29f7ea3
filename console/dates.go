package console

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"popup/apps"
	"popup/userdata"
)

const (
	longestEvent = 366 * 24 * time.Hour
	defaultTTL   = 7 * 24 * time.Hour
	mostDate     = 40 // characters of a date that somebody gives
)

// dates are what is given of an event's.
type dates struct {
	Start, Freeze, End, Zone string
	// Begun is when an event began that is under way; zero: it has yet to.
	Begun time.Time
	// Life is the shortest of what its apps may live, each of its own; 0: they do not say.
	Life apps.Lifetime
}

// set reads dates into an event. What is wrong is noted by the names of the API.
func (d dates) set(e *Event, now time.Time, w *wrong) {
	zone, err := parseZone(d.Zone)
	if err != nil {
		w.add("zone", err.Error())
		return
	}
	here := now.In(zone)
	e.Zone = zone.String()
	begins, ok := d.begins(e, here, w)
	if !ok {
		return
	}
	if d.End == "" {
		d.End = d.endOf(begins)
	}
	at, over, err := parseDate(d.End, here)
	switch {
	case err != nil:
		w.add("end", err.Error())
		return
	case !over.After(now):
		w.add("end", fmt.Sprintf("%s is over already; it is %s there now", at, here.Format(spokenTime)))
		return
	case !over.After(begins):
		w.add("end", "it ends before it starts")
		return
	}
	if longest := d.longest(); over.Sub(begins) > longest {
		w.add("end", fmt.Sprintf("it may last until %s at most", begins.Add(longest).Format(spokenTime)))
	}
	e.End, e.EndsAt = at, over
	d.freeze(e, begins, here, w)
}

// begins is when the event starts, or when it did; not ok: that was noted.
func (d dates) begins(e *Event, here time.Time, w *wrong) (at time.Time, ok bool) {
	if !d.Begun.IsZero() {
		return d.Begun.In(here.Location()), true
	}
	e.Start, e.StartsAt = "", time.Time{}
	if d.Start == "" {
		return here, true
	}
	start, starts, err := parseDay(d.Start, here)
	switch {
	case err != nil:
		w.add("start", err.Error())
		return here, false
	case starts.Sub(here) > longestEvent:
		w.add("start", "that is more than a year away; make the event later")
		return here, false
	}
	e.Start = start
	if !starts.After(here) {
		return here, true // today, or earlier: at once
	}
	e.StartsAt = starts
	return starts, true
}

// longest is how long it may last.
func (d dates) longest() time.Duration {
	if most := time.Duration(d.Life.MaxTTL); most > 0 {
		return min(most, longestEvent)
	}
	return longestEvent
}

// endOf is when it ends where nobody says: a whole day, where the apps live that long.
func (d dates) endOf(begins time.Time) string {
	ttl := time.Duration(d.Life.DefaultTTL)
	if ttl <= 0 {
		ttl = defaultTTL
	}
	ttl = min(ttl, d.longest())
	last := begins.Add(ttl)
	if y, m, day := last.Date(); time.Date(y, m, day+1, 0, 0, 0, 0, last.Location()).Sub(begins) <= d.longest() && ttl >= 24*time.Hour {
		return last.Format(time.DateOnly)
	}
	return last.Format(planTime)
}

// freeze is when writes are refused from.
func (d dates) freeze(e *Event, begins, here time.Time, w *wrong) {
	if d.Freeze == "" {
		// An event of minutes is not frozen from its beginning.
		before := min(defaultFreeze, e.EndsAt.Sub(begins)/10)
		e.Freeze, e.FreezesAt = "", e.EndsAt.Add(-before).Truncate(time.Second)
		return
	}
	at, freezes, err := parseDay(d.Freeze, here)
	switch {
	case err != nil:
		w.add("freeze", err.Error())
	case !freezes.After(begins):
		w.add("freeze", "it would be frozen before it starts")
	case !freezes.Before(e.EndsAt):
		w.add("freeze", "it would be frozen after its end")
	}
	e.Freeze, e.FreezesAt = at, freezes
}

// How times are written: as a plan has them, and to people.
const (
	planTime   = "2006-01-02T15:04"
	spokenTime = "2 January 2006 15:04"
)

// parseDate reads a date or a time, in now's zone. A date means the end of that day.
func parseDate(text string, now time.Time) (at string, moment time.Time, err error) {
	if len(text) > mostDate {
		return "", time.Time{}, errors.New("that is neither a day nor a time; write 2026-05-31 or 2026-05-31T18:00")
	}
	return userdata.ParseUntil(text, now)
}

// parseDay is parseDate for what begins then: a date means its beginning.
func parseDay(text string, now time.Time) (at string, moment time.Time, err error) {
	at, moment, err = parseDate(text, now)
	if day, dayErr := time.Parse(time.DateOnly, at); err == nil && dayErr == nil { // it begins when the one before ends
		_, moment, err = userdata.ParseUntil(day.AddDate(0, 0, -1).Format(time.DateOnly), now)
	}
	return at, moment, err
}

var zoneForm = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9_+-]+){0,2}$`)

// parseZone reads the name of a zone; empty is UTC.
func parseZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	err := errors.New("there is no such time zone; write it like Europe/Berlin, or UTC")
	if len(name) > mostName || !zoneForm.MatchString(name) || name == "Local" {
		return nil, err
	}
	zone, loadErr := time.LoadLocation(name)
	if loadErr != nil {
		return nil, err
	}
	return zone, nil
}

// until says when an event ends, for a button: the year only where it is another one.
func (e Event) until(now time.Time) string {
	zone, err := time.LoadLocation(e.Zone)
	if err != nil {
		zone = time.UTC
	}
	last, form := e.EndsAt.In(zone), "2 January"
	if day, err := time.Parse(time.DateOnly, e.End); err == nil {
		last = day // the last day of it
		if last.Year() != now.In(zone).Year() {
			form += " 2006"
		}
		return last.Format(form)
	}
	if last.Year() != now.In(zone).Year() {
		form += " 2006"
	}
	return last.Format(form + " 15:04")
}
