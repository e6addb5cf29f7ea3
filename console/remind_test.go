package console

import (
	"strings"
	"testing"
	"time"
)

// TestReminders: one whose moment was before the launch is not given, and an end that is
// moved is reminded of again.
func TestReminders(t *testing.T) {
	c := newConsole(t)
	e := Event{Title: "Fair", Name: "fair", State: EventOpen, Webhook: "https://example.org", EndsAt: aDay.Add(2 * time.Hour), Zone: "UTC", Reminded: aDay}
	c.remind(&e)
	if len(e.Messages) != 0 || !e.nextReminder().Equal(aDay.Add(time.Hour)) {
		t.Errorf("launched 2 hours before its end: %v, next at %s", e.Messages, e.nextReminder())
	}
	c.clock.advance(61 * time.Minute)
	c.remind(&e)
	c.remind(&e)
	if len(e.Messages) != 1 || e.Messages[0].Text != "Fair ends on 1 May 14:00, 59 minutes from now." || !e.nextReminder().IsZero() {
		t.Errorf("%+v, next at %s", e.Messages, e.nextReminder())
	}
	e.EndsAt = e.EndsAt.Add(30 * 24 * time.Hour)
	if want := e.EndsAt.Add(-7 * 24 * time.Hour); !e.nextReminder().Equal(want) {
		t.Errorf("extended, the next is at %s", e.nextReminder())
	}
	c.clock.advance(30*24*time.Hour - 30*time.Minute) // the console was away
	c.remind(&e)
	if len(e.Messages) != 2 || !strings.HasSuffix(e.Messages[1].Text, "1 hour from now.") {
		t.Errorf("after a while away: %+v", e.Messages)
	}
	for range 100 {
		e.tell("more", c.now())
	}
	if len(e.Messages) != mostMessages {
		t.Errorf("%d wait", len(e.Messages))
	}
}

func TestRoughly(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "less than a minute", time.Minute: "1 minute", 90 * time.Second: "2 minutes", 59 * time.Minute: "59 minutes",
		time.Hour: "1 hour", 23 * time.Hour: "23 hours", 24 * time.Hour: "1 day", 7 * 24 * time.Hour: "7 days"} {
		if got := roughly(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
