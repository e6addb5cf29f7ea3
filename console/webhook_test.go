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

// TestMessageBehindOneThatWaits: what is told after a message that is tried again later is
// not looked for before that.
func TestMessageBehindOneThatWaits(t *testing.T) {
	e := Event{State: EventDraft, EndsAt: aDay.AddDate(0, 0, 1), Messages: []Message{{ID: "first", Due: aDay.Add(time.Minute)}, {ID: "second", Due: aDay}}}
	if due := e.nextDue(); !due.Equal(aDay.Add(time.Minute)) {
		t.Errorf("it is due at %s", due)
	}
}
