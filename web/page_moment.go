package web

import (
	"fmt"
	"strings"
	"time"

	"popup/console"
)

// A moment is a time as pages show it: for a program, in words, and seen from now.
type moment struct{ ISO, Text, Relative string }

const pageTime = "2 January 2006, 15:04"

// at shows a time in a zone; nil for the zero time.
func at(t, now time.Time, zone *time.Location) *moment {
	if t.IsZero() {
		return nil
	}
	return &moment{t.UTC().Format(time.RFC3339), t.In(zone).Format(pageTime) + zoneSuffix(zone), relative(t, now)}
}

// zoneOf is the zone of an event; UTC where it cannot be read.
func zoneOf(name string) *time.Location {
	zone, err := time.LoadLocation(name)
	if err != nil || name == "Local" {
		return time.UTC
	}
	return zone
}

// zoneSuffix names a zone as people do: Zurich time.
func zoneSuffix(zone *time.Location) string {
	name := zone.String()
	if name == "UTC" || name == "" {
		return " UTC"
	}
	return " " + strings.ReplaceAll(name[strings.LastIndexByte(name, '/')+1:], "_", " ") + " time"
}

// relative says how far a time is from now, in the one unit that matters.
func relative(t, now time.Time) string {
	d := t.Sub(now)
	ago := d < 0
	if ago {
		d = -d
	}
	var words string
	switch {
	case d < time.Minute && ago:
		return "just now"
	case d < time.Minute:
		return "in a moment"
	case d < time.Hour:
		words = counted(int64(d/time.Minute), "minute", "minutes")
	case d < 36*time.Hour:
		words = counted(int64((d+30*time.Minute)/time.Hour), "hour", "hours")
	case d < 60*24*time.Hour:
		words = counted(int64((d+12*time.Hour)/(24*time.Hour)), "day", "days")
	default:
		words = counted(int64(d/(30*24*time.Hour)), "month", "months")
	}
	if ago {
		return words + " ago"
	}
	return "in " + words
}

// span is a length of time, in the one unit that matters.
func span(d time.Duration) string {
	return strings.TrimPrefix(relative(time.Time{}.Add(d), time.Time{}), "in ")
}

// endOf says when an event is over: a day ends at its 24:00.
func endOf(e console.Event) string {
	zone := zoneOf(e.Zone)
	if day, err := time.Parse(time.DateOnly, e.End); err == nil {
		return day.Format("2 January 2006") + ", 24:00" + zoneSuffix(zone)
	}
	return e.EndsAt.In(zone).Format(pageTime) + zoneSuffix(zone)
}

// lastDay is the last day of an event, there.
func lastDay(e console.Event) time.Time {
	if day, err := time.Parse(time.DateOnly, e.End); err == nil && !e.Capped() {
		return day
	}
	return e.LastsUntil().In(zoneOf(e.Zone))
}

// endsWords says how an event stands to its end.
func endsWords(e console.Event, now time.Time) string {
	switch {
	case e.State.Over() && !e.EndedAt.IsZero():
		return "Ended " + at(e.EndedAt, now, zoneOf(e.Zone)).Text
	case e.State.Over():
		return "Ended " + endOf(e)
	case e.State == console.EventScheduled:
		return fmt.Sprintf("Starts %s, %s; ends %s", relative(e.StartsAt, now), at(e.StartsAt, now, zoneOf(e.Zone)).Text, endOf(e))
	}
	if ends := e.LastsUntil(); e.Capped() && ends.After(now) {
		return fmt.Sprintf("Ends %s because of its cap, %s", relative(ends, now), at(ends, now, zoneOf(e.Zone)).Text)
	}
	if !e.LastsUntil().After(now) {
		return "Its end has come: " + endOf(e)
	}
	return fmt.Sprintf("Ends %s, %s", relative(e.EndsAt, now), endOf(e))
}
