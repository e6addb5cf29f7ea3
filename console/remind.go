package console

import (
	"fmt"
	"time"
)

// reminders are given this long before the end.
var reminders = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour}

// nextReminder is when the next one is due; zero: there is none.
func (e Event) nextReminder() (next time.Time) {
	ends := e.LastsUntil()
	for _, before := range reminders {
		if at := ends.Add(-before); at.After(e.Reminded) {
			next = at
			break
		}
	}
	if at := e.capWarnsAt(); at.After(e.Reminded) && at.Before(ends) && (next.IsZero() || at.Before(next)) {
		next = at
	}
	return next
}

// remind gives the reminder that is due. Of several that became due at once only the
// last is given.
func (c *Console) remind(e *Event) {
	now := c.now()
	if e.State != EventOpen && e.State != EventFrozen {
		return
	}
	if at := e.nextReminder(); at.IsZero() || at.After(now) {
		return
	}
	text := fmt.Sprintf("%s ends on %s, %s from now.", e.Title, e.ending(now), roughly(e.LastsUntil().Sub(now)))
	if at := e.capWarnsAt(); at.After(e.Reminded) && !at.After(now) {
		text += fmt.Sprintf(" It has cost %s, of %s that it may.", e.Spent(now)[0], e.CapAmount())
	}
	if says := e.CapSays(); says != "" {
		text += " " + says
	}
	e.Reminded = now
	e.tell(text, now)
}

// ending says when an event ends: at its end, or sooner because of its cap.
func (e Event) ending(now time.Time) string {
	if e.Capped() {
		return e.spoken(e.LastsUntil())
	}
	return e.until(now)
}

// roughly is a length of time as people say it.
func roughly(d time.Duration) string {
	for _, unit := range []struct {
		name   string
		length time.Duration
	}{{"day", 24 * time.Hour}, {"hour", time.Hour}, {"minute", time.Minute}} {
		n := int((d + unit.length/2) / unit.length)
		switch {
		case n == 1 && unit.length == time.Minute || n == 1 && d >= unit.length:
			return "1 " + unit.name
		case n > 1:
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than a minute"
}

// Reminder is what an event's pages say as the end comes near; empty: nothing.
func (e Event) Reminder(now time.Time) string {
	left := e.LastsUntil().Sub(now)
	switch {
	case e.State.Over():
		return "This event is over."
	case e.State == EventFrozen:
		return fmt.Sprintf("Everything can be read, and nothing written any more. This event ends on %s.", e.ending(now))
	case e.State == EventOpen && left <= reminders[0]:
		return fmt.Sprintf("This event ends on %s, %s from now.", e.ending(now), roughly(left))
	}
	return ""
}
