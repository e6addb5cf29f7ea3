package console

import (
	"fmt"
	"time"
)

// reminders are given this long before the end.
var reminders = []time.Duration{7 * 24 * time.Hour, 24 * time.Hour, time.Hour}

// nextReminder is when the next one is due; zero: there is none.
func (e Event) nextReminder() time.Time {
	for _, before := range reminders {
		if at := e.EndsAt.Add(-before); at.After(e.Reminded) {
			return at
		}
	}
	return time.Time{}
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
	e.Reminded = now
	e.tell(fmt.Sprintf("%s ends on %s, %s from now.", e.Title, e.until(now), roughly(e.EndsAt.Sub(now))), now)
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
	left := e.EndsAt.Sub(now)
	switch {
	case e.State.Over():
		return "This event is over."
	case e.State == EventFrozen:
		return fmt.Sprintf("Everything can be read, and nothing written any more. This event ends on %s.", e.until(now))
	case e.State == EventOpen && left <= reminders[0]:
		return fmt.Sprintf("This event ends on %s, %s from now.", e.until(now), roughly(left))
	}
	return ""
}
