package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/console"
	"popup/web/api"
)

// A counterpart answers as a console would, or as it would not, and remembers what it
// was asked.
type counterpart struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

// answering has each answer given once, in turn; the last one again and again.
func answering(t *testing.T, answers ...http.HandlerFunc) *counterpart {
	t.Helper()
	p := &counterpart{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		n := min(len(p.seen), len(answers)-1)
		p.seen = append(p.seen, r)
		p.mu.Unlock()
		answers[n](w, r)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *counterpart) asked() []*http.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen
}

// told answers with a body of a media type.
func told(status int, media, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", media)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

// hungUp ends a connection without an answer, as a console that is killed does.
func hungUp(w http.ResponseWriter, _ *http.Request) {
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		conn.Close()
	}
}

const someToken = "popup_" + "0123456789abcdef"

// newClient makes one that waits for nothing; waits are how long it would have.
func newClient(t *testing.T, url string) (c *Client, waits *[]time.Duration) {
	t.Helper()
	c, err := New(Login{URL: url, Token: someToken})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	waits = new([]time.Duration)
	c.pause = func(ctx context.Context, d time.Duration) error { *waits = append(*waits, d); return ctx.Err() }
	return c, waits
}

const operation = `{"id":"o1","verb":"launch","state":"running","instances":[]}`

// TestLaunchIsAskedAgainUnderOneKey: its answers were lost on their way.
func TestLaunchIsAskedAgainUnderOneKey(t *testing.T) {
	p := answering(t, told(502, "text/html", "<h1>Bad Gateway</h1>"), told(503, api.ProblemType, `{"detail":"in a moment"}`), told(202, "application/json", operation))
	c, waits := newClient(t, p.URL)
	o, err := c.Launch(t.Context(), console.LaunchRequest{}, "k1")
	if err != nil || o.ID != "o1" {
		t.Fatalf("%+v, %v", o, err)
	}
	asked := p.asked()
	if len(asked) != 3 || len(*waits) != 2 || (*waits)[1] <= (*waits)[0] {
		t.Fatalf("asked %d times, after %v", len(asked), *waits)
	}
	for _, r := range asked {
		if r.Header.Get(api.HeaderKey) != "k1" || r.Header.Get("Authorization") != "Bearer "+someToken {
			t.Errorf("asked with %v", r.Header)
		}
	}
}

// TestWhatIsNotAskedAgain: what may have been done, and what does not pass.
func TestWhatIsNotAskedAgain(t *testing.T) {
	busy := func(after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", after)
			told(503, "text/plain; charset=utf-8", "not claimed yet: whoever started this console has the link\nand more")(w, r)
		}
	}
	end := func(c *Client) error { _, err := c.EndEvent(t.Context(), "e", "e"); return err }
	list := func(c *Client) error { _, err := c.Events(t.Context()); return err }
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		ask    func(*Client) error
		times  int
		says   string
	}{
		"an end, busy":         {busy("1"), end, 1, "not claimed yet: whoever started this console has the link"},
		"an end, hung up":      {hungUp, end, 1, "EOF"},
		"a list, hung up":      {hungUp, list, tries, "EOF"},
		"a list, for ever":     {busy("1"), list, tries, "not claimed yet: whoever started this console has the link"},
		"a list, much later":   {busy("30"), list, 1, "not claimed yet: whoever started this console has the link"},
		"a list, a conflict":   {told(409, api.ProblemType, `{"title":"Conflict","status":409,"detail":"it is over"}`), list, 1, "it is over"},
		"a list, a failure":    {told(500, api.ProblemType, `{"detail":"its log says more","request":"r1"}`), list, 1, "its log says more (request r1)"},
		"a list, another page": {told(200, "text/html", "<h1>It works!</h1>"), list, 1, "no answer of a popup console's"},
		"a list, no JSON":      {told(200, "application/json", "{"), list, 1, "unexpected end of JSON input"},
		"a token that is over": {told(401, api.ProblemType, `{"detail":"sign in first"}`), list, 1, "popup login http://127.0.0.1"},
		"nothing to say":       {told(418, "text/html", ""), list, 1, "the console answers 418 I'm a teapot"},
	} {
		p := answering(t, test.answer)
		c, waits := newClient(t, p.URL)
		err := test.ask(c)
		if err == nil || !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), someToken) {
			t.Errorf("%s: %v", name, err)
		}
		if got := len(p.asked()); got != test.times || len(*waits) != got-1 {
			t.Errorf("%s: asked %d times, after %v", name, got, *waits)
		}
	}
}

// TestNobodyListens: what was never heard is asked again, whatever it is.
func TestNobodyListens(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + listener.Addr().String()
	listener.Close()
	c, waits := newClient(t, url)
	if _, err := c.EndEvent(t.Context(), "e", "e"); err == nil || !strings.Contains(err.Error(), "is the console running?") || len(*waits) != tries-1 {
		t.Errorf("%v, after %v", err, *waits)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.pause = func(ctx context.Context, d time.Duration) error { cancel(); return pause(ctx, d) }
	if _, err := c.Events(ctx); err == nil {
		t.Error("told to stop it goes on")
	}
}

// TestTokenGoesNowhereElse: a console that sends somebody on gets nobody there.
func TestTokenGoesNowhereElse(t *testing.T) {
	other := answering(t, told(200, "application/json", "{}"))
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL, http.StatusTemporaryRedirect)
	})
	c, _ := newClient(t, p.URL)
	if _, err := c.Events(t.Context()); err == nil || !strings.Contains(err.Error(), "it leads elsewhere") || len(other.asked()) != 0 {
		t.Errorf("%v, and the other was asked %d times", err, len(other.asked()))
	}
}

func TestProblemIsToldByFields(t *testing.T) {
	p := answering(t, told(422, api.ProblemType, `{"status":422,"detail":"all of it","errors":[{"field":"event.end","message":"is over\u001b[2J"},{"field":"apps[0].app","message":"is none"}]}`))
	c, _ := newClient(t, p.URL)
	_, err := c.Preview(t.Context(), console.LaunchRequest{})
	var no *Error
	if !errors.As(err, &no) || no.Status != 422 || len(no.Errors) != 2 {
		t.Fatalf("%v", err)
	}
	if want := "the console does not take that:\n  event.end: is over\uFFFD[2J\n  apps[0].app: is none"; err.Error() != want {
		t.Errorf("%q", err)
	}
}

func TestWhereAConsoleIs(t *testing.T) {
	for url, says := range map[string]string{
		"https://console.example.org/": "", "http://localhost:8080": "", "http://[::1]:80": "", "http://127.0.0.9": "",
		"http://console.example.org": "https://", "http://localhost.example.org": "https://", "console.example.org": "without a path",
		"https://a:b@example.org": "without a path", "https://example.org/x": "without a path", "https://example.org?x": "without a path",
		"ftp://example.org": "without a path", "": "without a path",
	} {
		if _, err := New(Login{URL: url}); (err != nil) != (says != "") || err != nil && !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v", url, err)
		}
	}
}

// TestFollowTellsWhatIsNew of the instances that it is about, over all pages.
func TestFollowTellsWhatIsNew(t *testing.T) {
	rounds := 0
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch {
		case strings.HasPrefix(r.URL.Path, "/api/v1/operations/"):
			rounds++
			state, failure := "running", ""
			if rounds == 3 {
				state, failure = "failed", "a went away"
			}
			fmt.Fprintf(w, `{"id":"o1","verb":"launch","state":%q,"failure":%q}`, state, failure)
		case r.URL.Query().Get("page_token") == "":
			fmt.Fprintf(w, `{"instances":[{"id":"a","health":"starting","why":%q},{"id":"other","health":"live"}],"next_page_token":"2"}`, strings.Repeat("x", rounds/2))
		default:
			fmt.Fprint(w, `{"instances":[{"id":"b","health":"live"}]}`)
		}
	})
	c, waits := newClient(t, p.URL)
	var seen []string
	_, err := c.Follow(t.Context(), api.Operation{ID: "o1", Event: "e", Instances: []string{"a", "b"}}, func(i api.Instance) { seen = append(seen, i.ID+i.Why) })
	var failed *FailedError
	if !errors.As(err, &failed) || err.Error() != "launch failed: a went away" || len(*waits) != 2 {
		t.Errorf("%v, after %v", err, *waits)
	}
	if got := strings.Join(seen, " "); got != "a b ax" {
		t.Errorf("told %s", got)
	}
}

// TestLogThatDoesNotCome is waited for no longer than was said.
func TestLogThatDoesNotCome(t *testing.T) {
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodPost:
			told(202, "application/json", `{"id":"c1","verb":"logs"}`)(w, r)
		case strings.HasSuffix(r.URL.Path, "/orders"):
			told(200, "application/json", `{"orders":[{"id":"c0","result":{"text":"of another"}},{"id":"c1"}]}`)(w, r)
		default:
			told(404, api.ProblemType, `{"detail":"there is no such thing"}`)(w, r)
		}
	})
	c, _ := newClient(t, p.URL)
	c.pause = func(ctx context.Context, _ time.Duration) error { <-ctx.Done(); return ctx.Err() }
	if _, err := c.FetchLog(t.Context(), "i1", 100*time.Millisecond); err == nil || !strings.Contains(err.Error(), "i1 did not send its log within 100ms") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.pause = func(ctx context.Context, _ time.Duration) error { cancel(); <-ctx.Done(); return ctx.Err() }
	if _, err := c.FetchLog(ctx, "i1", time.Hour); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestPlain(t *testing.T) {
	if got := Plain("a\tb\n\x1b[2J\u202ec\u2028\u0085\x7fé"); got != "a\tb\n\uFFFD[2J\uFFFDc\uFFFD\uFFFD\uFFFDé" {
		t.Errorf("%q", got)
	}
}

// FuzzRefusal reads what anybody may answer: always a line to show, and nothing that
// moves a cursor.
func FuzzRefusal(f *testing.F) {
	f.Add(422, api.ProblemType, `{"errors":[{"field":"a","message":"b"}]}`)
	f.Add(503, "text/plain", "later\nmore")
	f.Add(302, "text/html; charset=x", "\x1b[2J")
	f.Add(500, "application/problem+json", `{"status":200,"title":"\u001b","request":"\u202e"}`)
	f.Fuzz(func(t *testing.T, status int, media, body string) {
		resp := &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {media}}, Body: io.NopCloser(strings.NewReader(body))}
		err := refusal(resp)
		var no *Error
		if !errors.As(err, &no) || no.Status != status || err.Error() == "" || Plain(err.Error()) != err.Error() {
			t.Errorf("%q", err)
		}
	})
}
