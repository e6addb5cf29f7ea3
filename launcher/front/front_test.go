package front

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// text answers with a fixed body.
func text(body string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, body) })
}

// ask sends one request to h, in process.
func ask(h http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	return send(h, method, target, nil, header...)
}

func send(h http.Handler, method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func newFront(t *testing.T, o Options) *Front {
	t.Helper()
	f := New(o)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := f.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return f
}

func wantStatus(t *testing.T, w *httptest.ResponseRecorder, status int) {
	t.Helper()
	if w.Code != status {
		t.Fatalf("status %d, want %d; body %q", w.Code, status, w.Body)
	}
}

func wantText(t *testing.T, body string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(body, part) {
			t.Errorf("%q is not in:\n%s", part, body)
		}
	}
}

// Two numbers come from one serving; a request that sees two different ones
// mixed them. Every Stop happens once, and only when nothing uses its serving.
func TestFlipUnderLoad(t *testing.T) {
	const flips, clients = 1000, 8
	f := newFront(t, Options{})
	var stops, early atomic.Int64
	serving := func(n int) Serving {
		var using atomic.Int64
		return Serving{
			Revision: fmt.Sprint(n),
			Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				using.Add(1)
				defer using.Add(-1)
				fmt.Fprintf(w, "%d ", n)
				time.Sleep(50 * time.Microsecond)
				fmt.Fprintf(w, "%d", n)
			}),
			Stop: func() {
				stops.Add(1)
				if using.Load() != 0 {
					early.Add(1)
				}
			},
		}
	}
	f.Flip(serving(0))
	done := make(chan struct{})
	var asked, wrong atomic.Int64
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				w := ask(f, "GET", "/")
				a, b, _ := strings.Cut(w.Body.String(), " ")
				if asked.Add(1); w.Code != 200 || a == "" || a != b {
					wrong.Add(1)
				}
			}
		})
	}
	for n := 1; n <= flips; n++ {
		f.Flip(serving(n))
		if w := ask(f, "GET", "/"); !strings.HasPrefix(w.Body.String(), fmt.Sprint(n)+" ") {
			t.Fatalf("after flip %d the answer is %q", n, w.Body)
		}
	}
	close(done)
	wg.Wait()
	if err := f.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if wrong.Load() != 0 || early.Load() != 0 || stops.Load() != flips+1 {
		t.Errorf("%d of %d answers wrong, %d of %d stops early", wrong.Load(), asked.Load(), early.Load(), stops.Load())
	}
	if s := f.Stats(); s.InFlight != 0 || s.Errors != 0 || s.Requests < flips {
		t.Errorf("stats %+v", s)
	}
}

func TestDrainWaitsThenCancels(t *testing.T) {
	f := newFront(t, Options{Drain: 50 * time.Millisecond})
	entered, left, stopped := make(chan struct{}), make(chan error, 1), make(chan struct{})
	f.Flip(Serving{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			left <- context.Cause(r.Context())
		}),
		Stop: func() {
			select {
			case err := <-left:
				if !errors.Is(err, errDrained) {
					t.Errorf("the request was cancelled with %v", err)
				}
			default:
				t.Error("stopped while a request ran")
			}
			close(stopped)
		},
	})
	var wg sync.WaitGroup
	wg.Go(func() { ask(f, "GET", "/") })
	<-entered
	f.Flip(Serving{Handler: text("new")})
	if w := ask(f, "GET", "/"); w.Body.String() != "new" {
		t.Errorf("after the flip: %q", w.Body)
	}
	wg.Wait()
	<-stopped
}

func TestCloseCancelsWhenItsTimeIsOver(t *testing.T) {
	f := New(Options{})
	entered := make(chan struct{})
	var stops atomic.Int64
	f.Flip(Serving{
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() }),
		Stop:    func() { stops.Add(1) },
	})
	var wg sync.WaitGroup
	wg.Go(func() { ask(f, "GET", "/") })
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.Close(ctx); err != nil {
		t.Errorf("close: %v", err)
	}
	wg.Wait()
	if stops.Load() != 1 {
		t.Errorf("stopped %d times", stops.Load())
	}
	w := ask(f, "GET", "/")
	wantStatus(t, w, 503)
	wantText(t, w.Body.String(), "being stopped")
	f.Flip(Serving{Handler: text("late"), Stop: func() { stops.Add(1) }})
	if err := f.Close(t.Context()); err != nil || stops.Load() != 2 {
		t.Errorf("a serving flipped after Close: %v, %d stops", err, stops.Load())
	}
}

func TestFlipToNothingShowsTheBootPage(t *testing.T) {
	f := newFront(t, Options{})
	f.Flip(Serving{Handler: text("app")})
	wantStatus(t, ask(f, "GET", "/"), 200)
	f.Flip(Serving{})
	wantStatus(t, ask(f, "GET", "/"), 503)
}

func TestReadOnly(t *testing.T) {
	f := newFront(t, Options{Name: "Auction"})
	f.Flip(Serving{Handler: text("app")})
	f.SetReadOnly(true, 90*time.Second)
	for _, method := range []string{"GET", "HEAD", "OPTIONS"} {
		wantStatus(t, ask(f, method, "/"), 200)
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "PROPFIND"} {
		w := ask(f, method, "/", "Accept", "text/html")
		wantStatus(t, w, 503)
		if w.Header().Get("Retry-After") != "90" {
			t.Errorf("%s: Retry-After %q", method, w.Header().Get("Retry-After"))
		}
		wantText(t, w.Body.String(), "Auction is read-only now", "<!doctype html>")
	}
	wantStatus(t, ask(f, "GET", "/", "Upgrade", "websocket", "Connection", "Upgrade"), 503)
	f.SetReadOnly(false, 0)
	wantStatus(t, ask(f, "POST", "/"), 200)
}

func TestWaitWritesWaitsForThoseThatBeganBefore(t *testing.T) {
	f := newFront(t, Options{})
	entered, finish := make(chan struct{}), make(chan struct{})
	f.Flip(Serving{Handler: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { close(entered); <-finish })})
	var wg sync.WaitGroup
	wg.Go(func() { ask(f, "POST", "/") })
	<-entered
	f.SetReadOnly(true, 0)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := f.WaitWrites(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("while a write runs: %v", err)
	}
	close(finish)
	if err := f.WaitWrites(t.Context()); err != nil {
		t.Errorf("after the last write: %v", err)
	}
	wg.Wait()
}

func TestReadOnlyCutsUpgradedConnections(t *testing.T) {
	f := newFront(t, Options{})
	entered := make(chan struct{})
	f.Flip(Serving{Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { close(entered); <-r.Context().Done() })})
	var wg sync.WaitGroup
	wg.Go(func() { ask(f, "GET", "/ws", "Upgrade", "websocket") })
	<-entered
	f.SetReadOnly(true, 0)
	if err := f.WaitWrites(t.Context()); err != nil {
		t.Error(err)
	}
	wg.Wait()
}

func TestPanicsAreAnswered(t *testing.T) {
	var logged bytes.Buffer
	f := newFront(t, Options{Logger: slog.New(slog.NewTextHandler(&logged, nil))})
	f.Flip(Serving{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/half" {
			fmt.Fprint(w, strings.Repeat("x", 8192))
		}
		panic("oops")
	})})
	srv := httptest.NewServer(f)
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/early")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != 500 {
		t.Errorf("a panic before the answer: status %d", resp.StatusCode)
	}
	if resp, err = http.Get(srv.URL + "/half"); err == nil {
		_, err = io.ReadAll(resp.Body)
		resp.Body.Close()
	}
	if err == nil {
		t.Error("half a page passes for a whole one")
	}
	wantText(t, logged.String(), "oops", "front_test.go")
	if s := f.Stats(); s.Errors != 2 || s.InFlight != 0 {
		t.Errorf("stats %+v", s)
	}
}

func TestAccessLogHoldsNoQuery(t *testing.T) {
	var log bytes.Buffer
	f := newFront(t, Options{AccessLog: &log})
	f.Flip(Serving{Handler: text("hello"), Release: "r1", Revision: "d1"})
	ask(f, "GET", "/a%0Ab?token=secret", "User-Agent", "tester")
	var line map[string]any
	if err := json.Unmarshal(log.Bytes(), &line); err != nil || strings.Count(log.String(), "\n") != 1 {
		t.Fatalf("the log is not one JSON line: %v: %q", err, &log)
	}
	for key, want := range map[string]any{
		"path": "/a\nb", "status": 200.0, "bytes": 5.0, "remote": "192.0.2.1", "method": "GET", "release": "r1", "revision": "d1", "agent": "tester",
	} {
		if line[key] != want {
			t.Errorf("%s is %v, want %v", key, line[key], want)
		}
	}
	if strings.Contains(log.String(), "secret") {
		t.Error("the log holds the query")
	}
}

func TestBodiesAreBounded(t *testing.T) {
	f := newFront(t, Options{MaxBody: 1 << 10})
	f.Flip(Serving{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n, err := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n, err)
	})})
	w := send(f, "POST", "/", bytes.NewReader(make([]byte, 1025)))
	wantStatus(t, w, 413)
	wantText(t, w.Body.String(), "larger than 1 KiB")
	w = send(f, "POST", "/", io.MultiReader(bytes.NewReader(make([]byte, 1025)))) // of unknown length
	wantText(t, w.Body.String(), "1024", "too large")
	w = send(f, "POST", "/", bytes.NewReader(make([]byte, 1024)))
	wantText(t, w.Body.String(), "1024", "<nil>")
}

func TestProxyHeaderIsDropped(t *testing.T) {
	f := newFront(t, Options{})
	f.Flip(Serving{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.Header.Get("Proxy")) })})
	if w := ask(f, "GET", "/", "Proxy", "http://evil.example"); w.Body.Len() != 0 {
		t.Errorf("the app saw Proxy: %q", w.Body)
	}
}
