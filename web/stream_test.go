package web

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gin-gonic/gin"

	"popup/console"
	"popup/web/api"
)

// A heardEvent is one of an event stream.
type heardEvent struct {
	id, event string
	data      api.Notice
}

// A listener reads a stream, until its test is over.
type listener struct {
	events chan heardEvent // closed at its end
	status int
}

// listen opens a stream. after goes on from an event; empty: from now.
func (s *site) listen(t testing.TB, who, query, after string) *listener {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/stream"+query, nil)
	must(t, err)
	req.Header.Set("Authorization", "Bearer "+s.who[who].token)
	req.Header.Set("Accept-Encoding", "gzip")
	if after != "" {
		req.Header.Set("Last-Event-ID", after)
	}
	resp, err := direct.RoundTrip(req)
	must(t, err)
	l := &listener{events: make(chan heardEvent, 100), status: resp.StatusCode}
	go func() {
		defer close(l.events)
		defer resp.Body.Close()
		readEvents(ctx, bufio.NewScanner(resp.Body), l.events)
	}()
	t.Cleanup(func() {
		cancel()
		for range l.events { // it ended
		}
	})
	return l
}

// readEvents takes a stream apart.
func readEvents(ctx context.Context, lines *bufio.Scanner, to chan<- heardEvent) {
	var e heardEvent
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.event = value
		case "data":
			_ = json.Unmarshal([]byte(value), &e.data)
		case "":
			if e.event == "" { // a heartbeat, or the time to try again alone
				continue
			}
			select {
			case to <- e:
			case <-ctx.Done():
				return
			}
			e = heardEvent{}
		}
	}
}

// next is the next event that is one of these.
func (l *listener) next(t testing.TB, kinds ...string) heardEvent {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case e, open := <-l.events:
			if !open {
				t.Fatalf("the stream ended before there was one of %v", kinds)
			}
			for _, kind := range kinds {
				if e.event == kind {
					return e
				}
			}
		case <-deadline:
			t.Fatalf("there was none of %v", kinds)
		}
	}
}

// change has an event change, and returns its new title.
func (s *site) change(t testing.TB, who, event, title string) {
	t.Helper()
	_, err := s.console.ChangeEvent(t.Context(), s.actorOf(t, who), event, console.EventChange{Title: &title})
	must(t, err)
}

// until reads changes until one is of a kind and an id.
func (l *listener) until(t testing.TB, kind, id string) heardEvent {
	t.Helper()
	for {
		if e := l.next(t, "change"); e.data.Kind == kind && e.data.ID == id {
			return e
		}
	}
}

// TestStreamReplays: what happened while a browser was away it hears when it is back,
// and of others' events it hears nothing.
func TestStreamReplays(t *testing.T) {
	s := newOwnedSite(t)
	s.instanceOf(t, s.fair)
	s.instanceOf(t, s.other)
	first := s.listen(t, "otto", "?event=our-fair", "")
	begin := first.next(t, "begin")
	s.change(t, "otto", s.fair, "One")
	one := first.until(t, "event", s.fair)
	if one.data.Event != s.fair || atoi(t, one.id) <= atoi(t, begin.id) {
		t.Errorf("began at %v and heard %+v", begin.id, one)
	}
	s.change(t, "oda", s.other, "Theirs")
	s.change(t, "otto", s.fair, "Two")
	s.change(t, "otto", s.fair, "Three")
	for name, l := range map[string]*listener{
		"by the header":               s.listen(t, "otto", "?event="+s.fair, one.id),
		"by the address":              s.listen(t, "otto", "?event="+s.fair+"&after="+one.id, ""),
		"the header is newer":         s.listen(t, "otto", "?event="+s.fair+"&after=0", one.id),
		"of all that one sees":        s.listen(t, "otto", "", one.id),
		"a helper":                    s.listen(t, "helper", "?event="+s.fair, one.id),
		"a viewer, who sees all":      s.listen(t, "vera", "?event="+s.fair, one.id),
		"a token that only may read":  s.listen(t, "reader", "", one.id),
		"an owner":                    s.listen(t, "olga", "?event="+s.fair, one.id),
		"a helper, of all they see":   s.listen(t, "helper", "", one.id),
		"from the very first changes": s.listen(t, "otto", "", "1"),
	} {
		seen := map[string]int{}
		for seen[s.fair] < 2 {
			e := l.next(t, "change")
			if e.data.Event == s.other {
				t.Errorf("%s: hears of somebody else's event: %+v", name, e)
			}
			if e.data.Kind == "event" {
				seen[e.data.ID]++
			}
			if atoi(t, e.id) <= atoi(t, one.id) && name != "from the very first changes" {
				t.Errorf("%s: hears again %s after %s", name, e.id, one.id)
			}
		}
	}
}

func atoi(t testing.TB, text string) int {
	t.Helper()
	n, err := strconv.Atoi(text)
	must(t, err)
	return n
}

// TestStreamReloads: who was away for too long, or followed another store, begins anew.
func TestStreamReloads(t *testing.T) {
	s := newOwnedSite(t)
	l := s.listen(t, "otto", "", "99999999")
	if e := l.next(t, "reload", "change"); e.event != "reload" || atoi(t, e.id) >= 99999999 || atoi(t, e.id) == 0 {
		t.Errorf("after a change that never was comes %+v", e)
	}
}

// impatient is where the same console gives a request a moment only.
func (s *site) impatient(t testing.TB) string {
	t.Helper()
	server := httptest.NewUnstartedServer(s.Handler())
	server.Config.ReadTimeout, server.Config.WriteTimeout = 100*time.Millisecond, 100*time.Millisecond
	server.Start()
	t.Cleanup(server.Close)
	return server.URL
}

// TestStreamOutlivesRequests: that others must be answered soon does not end a stream.
func TestStreamOutlivesRequests(t *testing.T) {
	s := newOwnedSite(t)
	elsewhere := *s
	elsewhere.url = s.impatient(t)
	l := elsewhere.listen(t, "otto", "?event="+s.fair, "")
	l.next(t, "begin")
	passed := time.NewTimer(300 * time.Millisecond)
	defer passed.Stop()
	<-passed.C
	s.change(t, "otto", s.fair, "Later")
	l.until(t, "event", s.fair)
	s.leave() // so that the server can close
}

// TestStreamEndsWithTheServer: stopping does not wait for browsers.
func TestStreamEndsWithTheServer(t *testing.T) {
	s := newOwnedSite(t)
	l := s.listen(t, "otto", "", "")
	l.next(t, "begin")
	s.leave()
	deadline := time.After(10 * time.Second)
	for {
		select {
		case _, open := <-l.events:
			if !open {
				return
			}
		case <-deadline:
			t.Fatal("the stream goes on")
		}
	}
}

// BenchmarkThousandFollowers: a thousand browsers on one event's page, and one change of
// it. It tells how long it took until the last had heard.
func BenchmarkThousandFollowers(b *testing.B) {
	const followers = 1000
	s := newOwnedSite(b)
	all := make([]*listener, followers)
	for i := range all {
		all[i] = s.listen(b, "otto", "?event="+s.fair, "")
		all[i].next(b, "begin")
	}
	n := 0
	for b.Loop() {
		n++
		s.change(b, "otto", s.fair, fmt.Sprintf("Title %d", n))
		for _, l := range all {
			l.until(b, "event", s.fair)
		}
	}
}

// TestStreamOfWhoMaySeeOtherThings: who listens is asked for anew, and their stream ends
// where they are somebody else by now.
func TestStreamOfWhoMaySeeOtherThings(t *testing.T) {
	s := newOwnedSite(t)
	c, _ := gin.CreateTestContext(httptest.NewRecorder())
	c.Request = httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/v1/stream", nil)
	c.Request.Header.Set("Authorization", "Bearer "+s.who["vera"].token)
	s.identify(c)
	must(t, s.listensStill(c))
	role := console.RoleOrganiser // who sees their own events alone
	_, err := s.console.ChangePerson(t.Context(), s.actorOf(t, "olga"), s.vera, console.PersonChange{Role: &role})
	must(t, err)
	if err := s.listensStill(c); !errors.Is(err, console.ErrSignIn) {
		t.Errorf("a viewer who became an organiser hears on: %v", err)
	}
}
