package web

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/store/storetest/embedded"
	"popup/web/api"
)

// A twin is one of two consoles that share a store and a key file, and have one address.
type twin struct {
	*site
	at   string // where it alone answers
	stop func()
}

// A balancer is the one name of two consoles: what comes goes to the one it is set to.
type balancer struct {
	net.Listener
	mu sync.Mutex
	to string
}

// newTwins starts two, of which the balancer leads to the first.
func newTwins(t *testing.T, change func(console.Store) console.Store) (first, second *twin, b *balancer) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	shared, err := embedded.Open(ctx, t.TempDir())
	must(t, err)
	t.Cleanup(func() { must(t, shared.Close()) })
	front, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	b = &balancer{Listener: front}
	cloud, keys := newMemoryCloud(), newKeys(t)
	start := func(name string, store console.Store) *twin {
		own, err := net.Listen("tcp", "127.0.0.1:0")
		must(t, err)
		s, stop := serve(t, parts{name: name, store: store, keys: keys, cloud: cloud, url: "http://" + front.Addr().String(), listener: own})
		return &twin{s, own.Addr().String(), stop}
	}
	first, second = start("first", change(shared)), start("second", change(shared))
	b.leadTo(first)
	go b.pass()
	t.Cleanup(func() { must(t, front.Close()) })
	return first, second, b
}

func asItIs(s console.Store) console.Store { return s }

func (b *balancer) leadTo(t *twin) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = t.at
	direct.CloseIdleConnections()
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
}

func (b *balancer) pass() {
	for {
		in, err := b.Accept()
		if err != nil {
			return
		}
		b.mu.Lock()
		to := b.to
		b.mu.Unlock()
		go func() {
			defer in.Close()
			out, err := net.Dial("tcp", to)
			if err != nil {
				return
			}
			defer out.Close()
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			_, _ = io.Copy(in, out)
		}()
	}
}

// TestAnyConsoleAnswers: whatever one console began, another goes on with.
func TestAnyConsoleAnswers(t *testing.T) {
	first, second, b := newTwins(t, asItIs)
	link, err := first.console.ClaimLink(t.Context())
	must(t, err)
	v := first.visitor(t)
	v.open(strings.TrimPrefix(link, first.url)).sees(200, "Make this console yours")
	b.leadTo(second)
	v.send("", "name", "olga", "password", password).sees(200, "This console is yours")

	v.open("/launch?app="+string(testApp)).sees(200, "What is it called?")
	b.leadTo(first)
	v.send("/launch", "step", "check", "event.title", "Our fair").sees(200, "Check your answers")
	check := v.body
	v.send("/launch", "step", "launch").sees(200, "Our fair is coming up")
	progress := v.path
	b.leadTo(second)
	v.body = check
	if v.send("/launch", "step", "launch").sees(200, "Our fair is coming up"); v.path != progress {
		t.Errorf("the same launch at the other console is %s, not %s", v.path, progress)
	}
	e, err := second.console.Event(t.Context(), console.System, "our-fair")
	must(t, err)
	d := first.device(t, second.instanceOf(t, e.ID))
	if got := d.enrol(t); got.status != 200 {
		t.Fatal(got)
	}
	b.leadTo(first)
	if got := d.report(t); got.status != 200 {
		t.Fatal(got)
	}
	b.leadTo(second)
	eventually(t, "is live at the other", func() bool { return strings.Contains(v.open(progress).body, "Our fair is live") })

	b.leadTo(first)
	v.open("/sign-in").open("/account").sees(200)
	v.send("/sign-out").sees(200, "Sign in")
	b.leadTo(second)
	v.open("/account").sees(200, "Sign in")
	b.leadTo(first)
	v.send("/sign-in", "name", "olga", "password", password).sees(200, "Make a token")
	b.leadTo(second)
	v.open("/people").sees(200, "olga")
}

// TestTokensOfAnotherConsole: one that is made is known, and one that is removed is gone.
func TestTokensOfAnotherConsole(t *testing.T) {
	first, second, b := newTwins(t, asItIs)
	first.claim(t)
	second.who = first.who
	made := decode[api.AddedToken](t, first.do(t, request{who: "olga", method: "POST", path: "/api/v1/tokens", body: `{"title": "robot"}`, browser: true}), 201)
	first.who["robot"] = credential{token: made.Secret}
	b.leadTo(second)
	if got := second.do(t, request{who: "robot", method: "GET", path: "/api/v1/events"}); got.status != 200 {
		t.Errorf("it is not known there: %+v", got)
	}
	if got := second.do(t, request{who: "olga", method: "DELETE", path: "/api/v1/tokens/" + made.Token.ID, browser: true}); got.status != 204 {
		t.Fatal(got)
	}
	b.leadTo(first)
	if got := first.do(t, request{who: "robot", method: "GET", path: "/api/v1/events"}); got.status != 401 {
		t.Errorf("it is known here still: %d", got.status)
	}
}

// aLaunch is olga's, once.
func aLaunch() request {
	return request{who: "olga", method: "POST", path: "/api/v1/launches", header: map[string]string{api.HeaderKey: "once"},
		body: fmt.Sprintf(`{"event": {"title": "Our fair", "end": %q, "zone": "UTC"}, "apps": [{"app": %q}]}`, time.Now().AddDate(0, 0, 7).Format(time.DateOnly), testApp)}
}

// TestLaunchAtTwoConsoles: the same key is the same launch, and its operation is asked for
// anywhere.
func TestLaunchAtTwoConsoles(t *testing.T) {
	first, second, b := newTwins(t, asItIs)
	first.claim(t)
	second.who = first.who
	launch := aLaunch()
	o := decode[api.Operation](t, first.do(t, launch), 202)
	b.leadTo(second)
	if again := decode[api.Operation](t, second.do(t, launch), 202); again.ID != o.ID {
		t.Errorf("it was launched twice: %s and %s", o.ID, again.ID)
	}
	d := second.device(t, second.instanceOf(t, o.Event))
	for _, got := range []exchange{d.enrol(t), d.report(t)} {
		if got.status != 200 {
			t.Fatal(got)
		}
	}
	b.leadTo(first)
	eventually(t, "is done", func() bool {
		return decode[api.Operation](t, first.do(t, request{who: "olga", method: "GET", path: "/api/v1/operations/" + o.ID}), 200).State == "done"
	})
}

// An eventSource follows a stream as a browser does: it comes back with the id it heard last.
type eventSource struct {
	heard chan heardEvent
	stop  context.CancelFunc
	done  chan struct{}
}

func (s *site) eventSource(t *testing.T, who string) *eventSource {
	ctx, cancel := context.WithCancel(t.Context())
	e := &eventSource{make(chan heardEvent, 10_000), cancel, make(chan struct{})}
	token, last := s.who[who].token, ""
	go func() {
		defer close(e.done)
		for ctx.Err() == nil {
			events := make(chan heardEvent)
			go func() {
				defer close(events)
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/api/v1/stream", nil)
				req.Header.Set("Authorization", "Bearer "+token)
				if last != "" {
					req.Header.Set("Last-Event-ID", last)
				}
				resp, err := direct.RoundTrip(req)
				if err != nil {
					return
				}
				defer resp.Body.Close()
				if resp.StatusCode == 200 {
					readEvents(ctx, bufio.NewScanner(resp.Body), events)
				}
			}()
			for got := range events {
				last = got.id
				e.heard <- got
			}
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() { cancel(); <-e.done })
	return e
}

// TestStreamGoesOnAtAnotherConsole: while changes are written through both, the one that
// is listened to is lost, and its listener hears each change once.
func TestStreamGoesOnAtAnotherConsole(t *testing.T) {
	first, second, b := newTwins(t, asItIs)
	first.claim(t)
	second.who = first.who
	fair := first.launchAs(t, "olga", "Our fair")
	first.instanceOf(t, fair)
	source := first.eventSource(t, "olga")
	begin := <-source.heard
	for begin.event != "begin" {
		begin = <-source.heard
	}
	const changes = 60
	for n := range changes {
		by := []*twin{first, second}[n%2]
		if n > changes/2 {
			by = second
		}
		by.change(t, "olga", fair, fmt.Sprintf("Title %d", n))
		switch n {
		case changes / 2:
			first.stop()
		case changes * 3 / 4: // what was written meanwhile nobody told
			b.leadTo(second)
		}
	}
	heard, reloads := map[string]int{}, 0
	newest, err := second.console.Newest(t.Context())
	must(t, err)
	deadline := time.After(20 * time.Second)
	for last := 0; last < int(newest); {
		select {
		case e := <-source.heard:
			if last = atoi(t, e.id); e.event == "reload" {
				reloads++
			}
			if e.event == "change" && e.data.Kind == "event" && e.data.ID == fair {
				heard[e.id]++
			}
		case <-deadline:
			t.Fatalf("it heard up to %d of %d", last, newest)
		}
	}
	for id, times := range heard {
		if times != 1 {
			t.Errorf("change %s was told %d times", id, times)
		}
	}
	if len(heard) < changes || reloads > 0 {
		t.Errorf("%d of %d changes were heard, and %d reloads", len(heard), changes, reloads)
	}
}

// errNoLeader has who reads wait until it is tired of it.
var errNoLeader = errors.New("nobody leads")

// A lostStore answers as one whose leader is gone, when it is told to.
type lostStore struct {
	console.Store
	mu     sync.Mutex
	views  error // of all that reads
	writes error // after it was written
	found  chan struct{}
}

func (l *lostStore) lose(views, writes error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.views, l.writes = views, writes
	if l.found != nil {
		close(l.found)
	}
	l.found = make(chan struct{})
}

func (l *lostStore) View(ctx context.Context, fn func(console.Tx) error) error {
	l.mu.Lock()
	err, found := l.views, l.found
	l.mu.Unlock()
	if errors.Is(err, errNoLeader) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-found:
		}
	}
	if err != nil {
		return fmt.Errorf("%w: driver: bad connection", err)
	}
	return l.Store.View(ctx, fn)
}

func (l *lostStore) Update(ctx context.Context, fn func(console.Tx) error) error {
	l.mu.Lock()
	before, after := l.views, l.writes
	l.mu.Unlock()
	if before != nil {
		return fmt.Errorf("%w: driver: bad connection", before)
	}
	if err := l.Store.Update(ctx, fn); err != nil || after == nil {
		return err
	}
	return fmt.Errorf("%w: commit to the store: driver: bad connection", after)
}

// TestLeaderIsLost: nobody reads a driver's words, and everybody what to do.
func TestLeaderIsLost(t *testing.T) {
	var lost *lostStore
	s, _, _ := newTwins(t, func(store console.Store) console.Store {
		if lost == nil {
			lost = &lostStore{Store: store}
			return lost
		}
		return store
	})
	s.claim(t)
	session, err := s.console.SignIn(t.Context(), "olga", password, "192.0.2.1") // one that was not used yet
	must(t, err)
	s.who["again"] = credential{cookie: session.Secret}
	lost.lose(console.ErrUnavailable, nil)
	page := s.send(t, request{who: "again", method: "GET", path: "/settings", browser: true})
	if page.status != 503 || page.header.Get("Refresh") != "2" || page.header.Get("Retry-After") != "2" || !strings.Contains(page.body, "finding out who leads") || strings.Contains(page.body, "driver") {
		t.Errorf("a page: %d %v %s", page.status, page.header, page.body)
	}
	write := s.send(t, request{who: "again", method: "POST", path: "/people", browser: true, body: "name=x"})
	if write.status != 503 || write.header.Get("Refresh") != "" || strings.Contains(write.body, "driver") {
		t.Errorf("a form: %d %v", write.status, write.header)
	}
	health := s.send(t, request{method: "GET", path: "/healthz"})
	if health.status != 503 {
		t.Errorf("a balancer is told %d", health.status)
	}
	got := s.do(t, request{who: "olga", method: "GET", path: "/api/v1/people"})
	p := decode[api.Problem](t, got, 503)
	if !strings.Contains(p.Detail, "try it again") || got.header.Get("Retry-After") != "2" {
		t.Errorf("the API: %+v", p)
	}

	lost.lose(errNoLeader, nil)
	begun := time.Now()
	if health := s.send(t, request{method: "GET", path: "/healthz"}); health.status != 503 || time.Since(begun) > 2*healthTime {
		t.Errorf("nobody leads, and a balancer is told %d after %s", health.status, time.Since(begun))
	}

	lost.lose(nil, console.ErrUncertain)
	invite := request{who: "olga", method: "POST", path: "/api/v1/people", header: map[string]string{api.HeaderKey: "once"}, body: `{"name": "ida", "role": "viewer"}`}
	p = decode[api.Problem](t, s.do(t, invite), 503)
	if !strings.Contains(p.Detail, "look whether it was before you send it again") || strings.Contains(p.Detail, api.HeaderKey) {
		t.Errorf("what takes no key, without an answer: %+v", p)
	}
	launch := aLaunch()
	p = decode[api.Problem](t, s.do(t, launch), 503)
	if !strings.Contains(p.Detail, "not known whether it was done") || !strings.Contains(p.Detail, api.HeaderKey) {
		t.Errorf("a launch without an answer: %+v", p)
	}
	lost.lose(nil, nil)
	o := decode[api.Operation](t, s.do(t, launch), 202)
	events, err := s.console.Events(t.Context(), console.System)
	must(t, err)
	if len(events) != 1 || events[0].ID != o.Event {
		t.Errorf("asked again, it is launched as %+v", events)
	}
}
