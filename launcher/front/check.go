package front

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A HealthCheck decides whether an app may be shown.
type HealthCheck struct {
	Path     string        // empty: /
	Status   int           // 0: 200
	Contains string        // text the body must hold; empty: any body that is not empty
	Timeout  time.Duration // of the whole check, redirects included; 0: 5s
	MaxBody  int64         // bytes of the body that are searched; 0: 1 MiB
}

const (
	defaultCheckTimeout = 5 * time.Second
	defaultCheckBody    = 1 << 20
	maxRedirects        = 5
)

// Check asks h, in this process, and says in a sentence what is wrong with the
// answer, or nil. So a candidate is checked before any reader sees it. Redirects
// are followed on the same host, five at most. The sentence may be shown to
// anybody: it holds nothing of what the app said. h must end when the context of
// its request does. Check does not repeat; who waits for a start calls it again.
func Check(ctx context.Context, h http.Handler, hc HealthCheck) error {
	hc.Path = cmp.Or(hc.Path, "/")
	hc.Status = cmp.Or(hc.Status, http.StatusOK)
	hc.Timeout = cmp.Or(hc.Timeout, defaultCheckTimeout)
	hc.MaxBody = cmp.Or(hc.MaxBody, defaultCheckBody)
	if !strings.HasPrefix(hc.Path, "/") {
		return fmt.Errorf("health check path %q does not begin with a slash", hc.Path)
	}
	at, err := url.Parse("http://localhost" + hc.Path)
	if err != nil {
		return fmt.Errorf("health check path %q is not a path: %w", hc.Path, err)
	}
	ctx, cancel := context.WithTimeout(ctx, hc.Timeout)
	defer cancel()
	seen := []string{at.RequestURI()}
	for {
		p := probeOnce(ctx, h, at, hc.MaxBody)
		if p.status == hc.Status || !p.redirects() {
			return hc.judge(ctx, at, p)
		}
		if at, err = at.Parse(p.header.Get("Location")); err != nil {
			return fmt.Errorf("GET %s redirects to an address that cannot be read", seen[len(seen)-1])
		}
		if at.Hostname() != "localhost" {
			return fmt.Errorf("GET %s redirects to another host, %s; the health check stays with the app", seen[len(seen)-1], at.Host)
		}
		seen = append(seen, at.RequestURI())
		if len(seen) > maxRedirects+1 {
			return fmt.Errorf("GET %s redirects for ever (%s); give health_check.http_path a page that answers by itself",
				hc.Path, strings.Join(seen[:4], " → ")+" → …")
		}
	}
}

// ErrNoAnswer is in an error of Check when nothing answered in time: the app may
// be slow, or not up yet, rather than wrong.
var ErrNoAnswer = errors.New("was not answered")

// judge says what is wrong with the last answer.
func (hc HealthCheck) judge(ctx context.Context, at *url.URL, p *probe) error {
	what := "GET " + at.Path
	switch {
	case p.cause != nil:
		return fmt.Errorf("%s %w: %w", what, ErrNoAnswer, p.cause)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return fmt.Errorf("%s %w within %s", what, ErrNoAnswer, hc.Timeout)
	case ctx.Err() != nil:
		return fmt.Errorf("%s %w: %w", what, ErrNoAnswer, context.Cause(ctx))
	case p.panicked:
		return fmt.Errorf("%s broke off in the middle of the answer", what)
	case p.status != hc.Status:
		return fmt.Errorf("%s answered %s; expected %s", what, sayStatus(p.status), sayStatus(hc.Status))
	case hc.Contains == "" && p.body.Len() == 0 && hasBody(hc.Status):
		return fmt.Errorf("%s answered %s but the page is empty", what, sayStatus(p.status))
	case !bytes.Contains(p.body.Bytes(), []byte(hc.Contains)):
		return fmt.Errorf("%s answered %s but the page does not contain %q (%s)", what, sayStatus(p.status), hc.Contains, p.sayBody())
	}
	return nil
}

func hasBody(status int) bool {
	return status != http.StatusNoContent && status != http.StatusNotModified && (status < 300 || status > 399)
}

func sayStatus(code int) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", code, http.StatusText(code)))
}

// CheckURL checks like Check what answers at base, for example http://127.0.0.1:8000.
func CheckURL(ctx context.Context, base string, hc HealthCheck) error {
	u, err := url.Parse(base)
	if err != nil || u.Scheme != "http" || u.Host == "" {
		return fmt.Errorf("health check address %q is not http://HOST:PORT", redact(base))
	}
	proxy := Proxy(u.Host)
	return Check(ctx, proxy, hc)
}

// A probe is the writer a check's handler answers into. It keeps the beginning
// of the body.
type probe struct {
	header   http.Header
	status   int
	body     bytes.Buffer
	limit    int64
	more     bool // the body went on beyond the limit
	cause    error
	panicked bool
	stop     context.CancelFunc
}

var errEnough = errors.New("the health check has read enough")

func probeOnce(ctx context.Context, h http.Handler, at *url.URL, limit int64) (p *probe) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// With a server in its context the reverse proxy panics when an answer breaks
	// off, as it does for readers; without, half a page passes for a whole one.
	ctx = context.WithValue(ctx, http.ServerContextKey, &http.Server{})
	p = &probe{header: http.Header{}, limit: limit, stop: stop}
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: at.Path, RawPath: at.RawPath, RawQuery: at.RawQuery}, RequestURI: at.RequestURI(),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Host: "localhost", RemoteAddr: "127.0.0.1:0", Body: http.NoBody,
		Header: http.Header{"User-Agent": {"popup-health-check"}, "Accept": {"text/html, */*"}},
	}).WithContext(ctx)
	defer func() {
		if recover() != nil && !p.more {
			p.panicked = true
		}
		if p.status == 0 {
			p.status = http.StatusOK
		}
	}()
	h.ServeHTTP(p, r)
	return p
}

func (p *probe) Header() http.Header { return p.header }
func (p *probe) failed(err error)    { p.cause = err }
func (p *probe) Flush()              {}

func (p *probe) WriteHeader(status int) {
	if p.status == 0 && status >= 200 {
		p.status = status
	}
}

func (p *probe) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	room := p.limit - int64(p.body.Len())
	if int64(len(b)) <= room {
		return p.body.Write(b)
	}
	p.body.Write(b[:room])
	p.more = true
	p.stop() // the rest is not waited for: a page may have no end
	return int(room), errEnough
}

func (p *probe) redirects() bool {
	return p.status >= 300 && p.status <= 399 && p.header.Get("Location") != "" && p.cause == nil && !p.panicked
}

func (p *probe) sayBody() string {
	switch {
	case p.body.Len() == 0:
		return "it is empty"
	case p.more:
		return "its first " + sayBytes(p.limit) + " were searched"
	}
	return fmt.Sprintf("it has %d bytes", p.body.Len())
}
