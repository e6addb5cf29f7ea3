package console

import (
	"strings"
	"testing"
	"time"
)

func TestPublicPage(t *testing.T) {
	l := newLiving(t)
	r := fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice", Count: 2})
	e, all := l.launched(t, r)
	says := func() (text string) {
		t.Helper()
		p, err := l.PublicEvent(t.Context(), e.Name)
		if err != nil {
			t.Fatal(err)
		}
		if p.Event.Owner != "" || p.Event.Webhook != "" || p.Event.Stuck != "" || p.Event.EndedBy != "" {
			t.Errorf("it tells its owner's: %+v", p.Event)
		}
		for _, app := range p.Apps {
			text += app.Title + " (" + app.Address + "): " + app.Says + " "
		}
		return text + p.Reminder
	}
	want := "Guestbook (): It is being started. Notice board 1 (): It is being started. Notice board 2 (): It is being started. "
	if got := says(); got != want {
		t.Errorf("before it is live: %s", got)
	}
	l.reports(t, all[0].ID, live)
	l.later(t, e.EndsAt.Add(-3*24*time.Hour).Sub(l.now()))
	want = "Guestbook (http://" + all[0].ID + ".test): It is open. Notice board 1 (): It is being started. Notice board 2 (): It is being started. " +
		"This event ends on 31 May, 3 days from now."
	if got := says(); got != want {
		t.Errorf("three days before its end: %s", got)
	}
	l.later(t, e.FreezesAt.Sub(l.now()))
	if got := says(); !strings.Contains(got, "It can be read, and takes nothing new any more.") || !strings.HasSuffix(got, "This event ends on 31 May.") {
		t.Errorf("frozen: %s", got)
	}
	l.later(t, e.EndsAt.Sub(l.now()))
	if got := says(); strings.Contains(got, "http") || !strings.HasSuffix(got, "This event is over.") {
		t.Errorf("over: %s", got)
	}
	if _, err := l.CreateEvent(t.Context(), anOwner, EventRequest{Name: "draft"}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.PublicEvent(t.Context(), "draft"); err == nil {
		t.Error("a draft has a page")
	}
}
