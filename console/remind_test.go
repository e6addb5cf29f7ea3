package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// A hook is a webhook that keeps what it is told.
type hook struct {
	*httptest.Server
	mu     sync.Mutex
	told   []map[string]any
	status int
	// elsewhere is where a redirect leads.
	elsewhere string
}

func newHook(t *testing.T) *hook {
	h := &hook{status: http.StatusNoContent}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body map[string]any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Method != http.MethodPost || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s %s: %v", r.Method, r.Header, err)
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.told = append(h.told, body)
		if h.status == http.StatusFound {
			w.Header().Set("Location", h.elsewhere)
		}
		w.WriteHeader(h.status)
	}))
	t.Cleanup(h.Close)
	return h
}

// texts are what was told since they were asked for last.
func (h *hook) texts() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var all []string
	for _, m := range h.told {
		all = append(all, m["text"].(string))
	}
	h.told = nil
	return strings.Join(all, " ")
}

func TestWebhookIsTold(t *testing.T) {
	h := newHook(t)
	l := newLiving(t, func(o *Options) { o.Guard = localGuard() })
	r := fair(AppRequest{App: "notice"})
	r.Event.Webhook = h.URL + "/secret"
	e, _ := l.launched(t, r)
	h.mu.Lock()
	first := h.told[0]
	h.mu.Unlock()
	if first["event"] != "spring-fair" || first["title"] != "Spring Fair" || first["state"] != "open" || first["url"] != "http://127.0.0.1:8000/e/spring-fair" ||
		first["ends_at"] != e.EndsAt.Format(time.RFC3339) || first["id"] == "" || len(first) != 8 {
		t.Errorf("it is told %v", first)
	}
	at := func(before time.Duration, want string) {
		t.Helper()
		l.later(t, e.EndsAt.Add(-before).Sub(l.now())-time.Second)
		if got := h.texts(); got != "" {
			t.Errorf("before %s: %s", before, got)
		}
		l.later(t, time.Second)
		if got := h.texts(); got != want {
			t.Errorf("%s before the end: %s", before, got)
		}
	}
	h.texts()
	at(7*24*time.Hour, "Spring Fair ends on 31 May, 7 days from now.")
	at(24*time.Hour, "Spring Fair ends on 31 May, 1 day from now.")
	at(time.Hour, "Spring Fair ends on 31 May, 1 hour from now.")
	at(10*time.Minute, "Spring Fair can be read, and takes nothing new any more.")
	at(0, "Spring Fair is over, and is being archived. Spring Fair is archived; all its machines are gone.")
}

// TestWebhookThatFails is tried three times, and no further: a redirect is not followed.
func TestWebhookThatFails(t *testing.T) {
	h, other := newHook(t), httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it was followed") }))
	defer other.Close()
	h.status, h.elsewhere = http.StatusFound, other.URL
	l := newLiving(t, func(o *Options) { o.Guard = localGuard() })
	r := fair(AppRequest{App: "notice"})
	r.Event.Webhook = h.URL
	e, _ := l.launched(t, r)
	id := stored[Event](t, l.testConsole, e.ID).Messages[0].ID
	for range 5 {
		l.later(t, 10*time.Minute)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.told) != messageTries || h.told[2]["id"] != id {
		t.Errorf("it was told %d times: %v", len(h.told), h.told)
	}
	if waiting := stored[Event](t, l.testConsole, e.ID).Messages; len(waiting) != 0 {
		t.Errorf("still waiting: %v", waiting)
	}
}

// TestWebhookInside: where an address led outside when it was given, and leads inside
// later, it is not connected to.
func TestWebhookInside(t *testing.T) {
	h := newHook(t)
	l := newLiving(t)
	e, _ := l.launched(t, fair(AppRequest{App: "notice"}))
	l.write(t, func(tx Tx) error {
		e, err := get[Event](tx, e.ID)
		if err != nil {
			return err
		}
		e.Webhook = h.URL
		e.tell("hello", l.now())
		e.Due = e.nextDue()
		return put(tx, e)
	})
	l.settle(t)
	if got := h.texts(); got != "" {
		t.Errorf("it was told %s", got)
	}
	if m := stored[Event](t, l.testConsole, e.ID).Messages; len(m) != 1 || m[0].Tries != 1 {
		t.Errorf("what waits is %+v", m)
	}
}

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

// TestMessageBehindOneThatWaits: what is told after a message that is tried again later is
// not looked for before that.
func TestMessageBehindOneThatWaits(t *testing.T) {
	e := Event{State: EventDraft, EndsAt: aDay.AddDate(0, 0, 1), Messages: []Message{{ID: "first", Due: aDay.Add(time.Minute)}, {ID: "second", Due: aDay}}}
	if due := e.nextDue(); !due.Equal(aDay.Add(time.Minute)) {
		t.Errorf("it is due at %s", due)
	}
}
