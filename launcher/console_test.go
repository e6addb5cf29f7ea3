package launcher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

// linked is an appliance that is open, and not running, with a console.
func linked(t *testing.T, root string, console wire.Console) *Appliance {
	t.Helper()
	a, err := open(t.Context(), Options{
		Root: root, Logger: slog.New(slog.DiscardHandler), Stdout: io.Discard, Version: "1.2",
		Plan: wire.Plan{Version: 1, Instance: "fair-7", Console: &console, Manifest: apps.Manifest{ID: "board", Name: "Board"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, a) })
	return a
}

// shut closes what linked opened, as a stop does. It may be called again.
func shut(t *testing.T, a *Appliance) {
	t.Helper()
	if a.unlock == nil {
		return
	}
	if err := errors.Join(a.journal.Close(), a.unlock()); err != nil {
		t.Error(err)
	}
	a.unlock = nil
}

const token = "one-time_TOKEN-0123456789"

// polite answers as a console that has nothing to say.
func polite(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "{}") }

// TestRogueConsoleHurtsNobody: whatever it answers, the instance goes on, with a
// sentence, and is as it was.
func TestRogueConsoleHurtsNobody(t *testing.T) {
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	defer other.Close()
	const large = 64 << 20
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"garbage": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>hush</html>") }, "is not the JSON of a console"},
		"nothing": {func(http.ResponseWriter, *http.Request) {}, "is not the JSON of a console"},
		"other types": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, `{"next": "x", "settings": [1], "wanted": 3}`)
		}, "is not the JSON of a console"},
		"deep": {func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, strings.Repeat("[", 60_000)) }, "is not the JSON of a console"},
		"huge": {func(w http.ResponseWriter, r *http.Request) {
			part := bytes.Repeat([]byte(" "), 1<<20)
			for range large >> 20 {
				if _, err := w.Write(part); err != nil {
					return
				}
			}
			t.Error("it read all of a huge answer")
		}, "it has more than"},
		"huge no": {func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprintf(w, `{"detail": "no\u0007\n%s"}`, strings.Repeat("no ", 2000))
		}, "the console answers 403 Forbidden: no no "},
		"elsewhere": {func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
		}, "names another address, which is not asked"},
		"broken": {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, "the console answers 500"},
		"silent": {func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, "ask the console: "},
		"slow": {func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "{")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, "read the console's answer: "},
		"cut short": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "9")
			fmt.Fprint(w, "{}")
		}, "read the console's answer: "},
		"hung up":    {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "ask the console: "},
		"switching":  {func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNotModified) }, "the console answers 304"},
		"many words": {func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, "ask the console: "},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body) // else a server does not see that the other side went away
				test.answer(w, r)
			}))
			server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
			server.Start()
			defer server.Close()
			l := linked(t, t.TempDir(), wire.Console{URL: server.URL, Token: token}).console
			l.client.Timeout = 300 * time.Millisecond
			began := time.Now()
			_, reportErr := l.reportOnce(t.Context())
			for _, err := range []error{l.enrolOnce(t.Context()), reportErr} {
				if err == nil || !strings.Contains(err.Error(), test.want) || len(err.Error()) > 600 || strings.Contains(err.Error(), token) || strings.ContainsAny(err.Error(), "\a\n") {
					t.Errorf("%v; want %q", err, test.want)
				}
				if wait := l.waitAfter(1, err); wait < time.Second || wait > 5*time.Minute {
					t.Errorf("it asks again after %s", wait)
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
			if k := l.kept.get(); !k.Enrolled.IsZero() || k.Wanted != nil || l.isEnrolled() {
				t.Errorf("it keeps %+v", k)
			}
		})
	}
	if n := elsewhere.Load(); n > 0 {
		t.Errorf("somebody else was asked %d times", n)
	}
}

// TestPinnedKeyAlone: a console with a certificate of its own is believed by its
// key, and nothing is sent to anybody else.
func TestPinnedKeyAlone(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { asked.Add(1); polite(w, r) }))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	defer server.Close()
	pin := wire.PinOf(server.Certificate())
	another := strings.ToUpper(pin[:1]) + "AAAA" + pin[5:]
	for name, c := range map[string]struct{ pin, want string }{
		"its own":     {pin, ""},
		"another key": {another, "its certificate has another key than console.pin"},
		"none":        {"", "certificate signed by unknown authority"},
	} {
		before := asked.Load()
		_, err := linked(t, t.TempDir(), wire.Console{URL: server.URL, Token: token, Pin: c.pin}).console.reportOnce(t.Context())
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
		if sent := asked.Load() - before; (sent == 1) != (c.want == "") {
			t.Errorf("%s: %d requests came", name, sent)
		}
	}
}

// TestClockOfTheConsole is told by its answers, and asked for afresh.
func TestClockOfTheConsole(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		polite(w, r)
	}))
	defer server.Close()
	l := linked(t, t.TempDir(), wire.Console{URL: server.URL, Token: token}).console
	if _, err := l.clockAhead(t.Context()); err == nil || !strings.Contains(err.Error(), "has not enrolled yet") {
		t.Errorf("before it enrolled: %v", err)
	}
	if err := l.enrolOnce(t.Context()); err != nil {
		t.Fatal(err)
	}
	for range 2 { // asked once for both
		if ahead, err := l.clockAhead(t.Context()); err != nil || (ahead-time.Hour).Abs() > 2*time.Second {
			t.Errorf("it is ahead by %s, %v", ahead, err)
		}
	}
	if n := asked.Load(); n != 2 {
		t.Errorf("it was asked %d times", n)
	}
	server.Config.Handler = http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	l.heard = time.Now().Add(-time.Minute)
	if _, err := l.clockAhead(t.Context()); err == nil {
		t.Error("a console that is gone tells the time")
	}
}

// TestCommandsAreDoneOnce, though they are said again and again, and though a stop
// comes between.
func TestCommandsAreDoneOnce(t *testing.T) {
	root := t.TempDir()
	a := linked(t, root, wire.Console{URL: "http://127.0.0.1:1"})
	l := a.console
	twice := []wire.Command{{ID: "a", Verb: "dance"}, {ID: "a", Verb: "dance"}, {ID: "b", Verb: "end"}}
	for range 3 {
		if err := l.accept(twice); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.pending) != 2 {
		t.Fatalf("to be done are %+v", l.pending)
	}
	c, _ := l.nextCommand()
	l.do(t.Context(), c)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	c, _ = l.nextCommand()
	l.do(stopped, c)
	shut(t, a)

	l = linked(t, root, wire.Console{URL: "http://127.0.0.1:1"}).console
	if err := l.accept(twice); err != nil || len(l.pending) != 0 {
		t.Errorf("after a restart it would do %+v, %v", l.pending, err)
	}
	_, results, err := l.makeReport(1)
	if err != nil || len(results) != 2 || !strings.Contains(results[0].Text, "not known to this version") || !strings.Contains(results[1].Text, "popup was stopped before this was done") {
		t.Errorf("it tells %+v, %v", results, err)
	}
	for i := range commandsKept + 5 {
		if err := l.kept.update(func(f *consoleFacts) { f.Commands = append(f.Commands, done{Result: wire.Result{ID: fmt.Sprint(i)}}) }); err != nil {
			t.Fatal(err)
		}
	}
	if k := l.kept.get(); len(k.Commands) != commandsKept || k.Commands[commandsKept-1].ID != fmt.Sprint(commandsKept+4) {
		t.Errorf("it remembers %d", len(k.Commands))
	}
}

// TestLogKeepsTheNewestLines, whole, in bounded memory.
func TestLogKeepsTheNewestLines(t *testing.T) {
	var r ring
	for i := range 100_000 {
		fmt.Fprintf(&r, "line %d\n", i)
		if cap(r.text) > 4*ringSize {
			t.Fatalf("it has %d bytes", cap(r.text))
		}
	}
	lines := r.lines()
	if len(lines) > ringSize || len(lines) < ringSize*9/10 || !bytes.HasPrefix(lines, []byte("line ")) || !bytes.HasSuffix(lines, []byte("\nline 99999\n")) {
		t.Errorf("%d bytes, from %.20q", len(lines), lines)
	}
	if n, err := r.Write(bytes.Repeat([]byte("x"), 10*ringSize)); n != 10*ringSize || err != nil {
		t.Errorf("a long line: %d, %v", n, err)
	}
}

// TestNewsWaitsForAConsole that does not answer, and else only for more of it.
func TestNewsWaitsForAConsole(t *testing.T) {
	for answers, want := range map[bool]time.Duration{true: 2 * debounce, false: time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			l, began := &link{news: make(chan struct{}, 1)}, time.Now()
			wake(l.news)
			if !l.awaitTurn(t.Context(), time.Minute, answers) || time.Since(began) != want {
				t.Errorf("it answers: %v; reported after %s", answers, time.Since(began))
			}
		})
	}
}

// TestConsoleAwayIsANote: it is asked again later, and nothing else changes.
func TestConsoleAwayIsANote(t *testing.T) {
	var asked atomic.Int64
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) > 1 {
			panic(http.ErrAbortHandler)
		}
		polite(w, r)
	}), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)}}
	server.Start()
	defer server.Close()
	a := linked(t, t.TempDir(), wire.Console{URL: server.URL, Token: token})
	a.console.start(t.Context())
	defer a.console.close()
	deadline := time.Now().Add(10 * time.Second)
	for a.now().Console.Error == "" && time.Now().Before(deadline) {
		a.record(Entry{Event: "news"})
		time.Sleep(20 * time.Millisecond)
	}
	s := a.now()
	if n := asked.Load(); n != 2 || !strings.Contains(s.Console.Error, "report: ask the console") || s.Console.Enrolled.IsZero() || !s.Console.NextReport.After(time.Now()) {
		t.Errorf("it was asked %d times; status %+v", n, s.Console)
	}
	if slices.ContainsFunc(s.Phases, func(p Phase) bool { return p.Name == PhaseEnrol && p.State != "done" }) {
		t.Errorf("phases %+v", s.Phases)
	}
}
