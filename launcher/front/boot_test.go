package front

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

var bootNow = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

func bootFront(t *testing.T) *Front {
	f := newFront(t, Options{Name: "Fair <Board>", Now: func() time.Time { return bootNow }})
	f.SetBoot(Boot{Phases: []Phase{
		{Name: "fetch service", State: PhaseDone},
		{Name: "fetch data", State: PhaseFailed, Cause: "the branch \"x\" <does> not exist", Attempt: 2, NextTry: bootNow.Add(12 * time.Second)},
		{Name: "packages", State: PhaseKept},
		{Name: "build", State: PhaseRunning, Attempt: 1, Since: bootNow.Add(-3 * time.Second)},
		{Name: "start", State: PhaseWaiting},
		{Name: "check", State: PhaseWaiting},
	}})
	return f
}

func TestBootPage(t *testing.T) {
	f := bootFront(t)
	w := ask(f, "GET", "/any/page", "Accept", "text/html,application/xhtml+xml,*/*;q=0.8")
	wantStatus(t, w, 503)
	for key, want := range map[string]string{
		"Retry-After": "12", "Content-Type": "text/html; charset=utf-8", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
	} {
		if got := w.Header().Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	body := w.Body.String()
	wantText(t, body, "<title>Fair &lt;Board&gt; is starting</title>", `role="status"`, `name="viewport"`, `name="color-scheme"`,
		`<noscript><meta http-equiv="refresh" content="3"></noscript>`, "new EventSource(\"/.well-known/popup/events\")",
		`the branch &#34;x&#34; &lt;does&gt; not exist`, "failed (try 2), next try in 12 s", "already there", "running for 3 s", "prefers-color-scheme: dark")
	nonce := regexp.MustCompile(`script-src 'nonce-([A-Z0-9]+)'`).FindStringSubmatch(w.Header().Get("Content-Security-Policy"))
	if nonce == nil || strings.Count(body, `nonce="`+nonce[1]+`"`) != 2 {
		t.Errorf("style and script do not carry the policy's nonce %v", nonce)
	}
	order := regexp.MustCompile(`<li class="(\w+)">\s*<span class="name">([^<]+)`).FindAllStringSubmatch(body, -1)
	var got []string
	for _, m := range order {
		got = append(got, m[2]+"="+m[1])
	}
	if want := "fetch service=done,fetch data=failed,packages=kept,build=running,start=waiting,check=waiting"; strings.Join(got, ",") != want {
		t.Errorf("phases %q, want %q", got, want)
	}
}

func TestBootForOtherClients(t *testing.T) {
	f := bootFront(t)
	w := ask(f, "GET", "/")
	wantStatus(t, w, 503)
	if got, want := w.Body.String(), `Fair <Board> is starting
fetch service: done
fetch data: failed (try 2), next try in 12 s
  the branch "x" <does> not exist
packages: already there
build: running for 3 s
start: waiting
check: waiting
`; got != want {
		t.Errorf("text:\n%s\nwant:\n%s", got, want)
	}
	w = ask(f, "POST", "/", "Accept", "application/json")
	wantStatus(t, w, 503)
	var got struct {
		Status string
		Phases []Phase
	}
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got.Status != "starting" || len(got.Phases) != 6 || got.Phases[1].State != PhaseFailed || !got.Phases[1].NextTry.Equal(bootNow.Add(12*time.Second)) {
		t.Errorf("JSON says %+v", got)
	}
}

func TestRetryAfterIsBounded(t *testing.T) {
	f := newFront(t, Options{Now: func() time.Time { return bootNow }})
	for want, wait := range map[string]time.Duration{"2": -time.Hour, "60": time.Hour, "8": 7500 * time.Millisecond} {
		f.SetBoot(Boot{Phases: []Phase{{Name: "build", State: PhaseFailed, NextTry: bootNow.Add(wait)}}})
		if got := ask(f, "GET", "/").Header().Get("Retry-After"); got != want {
			t.Errorf("next try in %s: Retry-After %q, want %q", wait, got, want)
		}
	}
}

// A browser that watches sees every change, and is told when to come for the app.
func TestEvents(t *testing.T) {
	f := bootFront(t)
	f.beat = time.Hour // a change is told at once
	srv := httptest.NewServer(f)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/.well-known/popup/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	lines := bufio.NewReader(resp.Body)
	next := func() (event, data string) {
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("the stream ended: %v", err)
			}
			line = strings.TrimSpace(line)
			if v, ok := strings.CutPrefix(line, "event: "); ok {
				event = v
			}
			if v, ok := strings.CutPrefix(line, "data: "); ok {
				data = v
			}
			if line == "" && event != "" {
				return event, data
			}
		}
	}
	event, data := next()
	var html string
	if err := json.Unmarshal([]byte(data), &html); err != nil || event != "phases" {
		t.Fatalf("first event %q: %v", event, err)
	}
	wantText(t, html, `<ol class="phases">`, "running for 3 s", "&lt;does&gt;")
	f.SetBoot(Boot{Phases: []Phase{{Name: "check", State: PhaseRunning}}})
	for event, data = next(); !strings.Contains(data, "check"); event, data = next() {
	}
	if strings.Contains(data, "build") || event != "phases" {
		t.Errorf("after a change: %s %s", event, data)
	}
	f.Flip(Serving{Handler: text("app")})
	for event, _ = next(); event != "ready"; event, _ = next() {
	}
}

func TestEndStreamsLetsAServerShutDown(t *testing.T) {
	f := bootFront(t)
	srv := httptest.NewUnstartedServer(f)
	srv.Config.RegisterOnShutdown(f.EndStreams)
	srv.Start()
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/.well-known/popup/events")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := srv.Config.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	f := bootFront(t)
	for range maxStreams {
		f.streams <- struct{}{}
	}
	wantStatus(t, ask(f, "GET", "/.well-known/popup/events"), 503)
}
