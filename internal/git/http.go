package git

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"popup/internal/meter"
)

const (
	uploadPack    = "/git-upload-pack"
	advertisement = "/info/refs?service=git-upload-pack"
	userAgent     = "git/2.0 (popup)" // some servers answer git alone, and know it by this
	mostRedirects = 5
	routeLasts    = time.Hour
	oneStep       = 16 << 10 // a chunk is only handed on when all that was asked for came: a slow line must do that before it stalls
)

// newTransport keeps connections between polls. Nothing is asked to be compressed:
// packs are already, and a poll's answer is smaller than what gzip would add.
func newTransport(dial meter.Dialer, opts Options) *http.Transport {
	t := &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: cmp.Or(opts.Limp.Stall, stallTimeout), DisableCompression: true,
		ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	if opts.DialContext == nil {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

// A route is what was learnt of how a server is to be asked. It is forgotten after
// an hour, and when it leads to an error.
type route struct {
	base     string   // where the server sent us; empty: the address
	old      bool     // it does not speak version 2
	features []string // of version 2's fetch; nil: not known
	until    time.Time
}

// An httpSession is what is asked of a server for one purpose.
type httpSession struct {
	r     *Remote
	route route
	auth  string       // of the address's own host; empty: none
	left  atomic.Int64 // bytes that may still be sent to us
}

// connectHTTP begins a session in which the server may send at most limit bytes.
func (r *Remote) connectHTTP(limit int64) (*httpSession, error) {
	auth, err := r.httpAuth()
	if err != nil {
		return nil, err
	}
	s := &httpSession{r: r, auth: auth}
	s.left.Store(limit)
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Now().Before(r.route.until) {
		s.route = r.route
	}
	return s, nil
}

// remember keeps what the session learnt, unless it led to an error.
func (s *httpSession) remember(err error) {
	s.r.mu.Lock()
	defer s.r.mu.Unlock()
	switch {
	case err != nil && !errors.Is(err, errNoFilter):
		s.r.route = route{}
	case s.route.until.IsZero():
		s.route.until = time.Now().Add(routeLasts)
		s.r.route = s.route
	}
}

// httpAuth reads what to sign in with, afresh.
func (r *Remote) httpAuth() (string, error) {
	text, err := r.credentials()
	if text == "" || err != nil {
		return "", err
	}
	if strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f }) {
		return "", &Error{Class: Credentials, Why: "the credentials file has more than one line, or a control character in it",
			Hint: "write user:password or a token, alone; an SSH key goes with an ssh address"}
	}
	if strings.Contains(text, ":") {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(text)), nil
	}
	return "Bearer " + text, nil
}

// ask sends one request to what is at tail below the repository's address, and
// again to where the server sends us. The caller closes the answer.
func (s *httpSession) ask(ctx context.Context, tail string, body []byte) (*answer, error) {
	base := s.route.base
	if base == "" {
		base = s.r.base
	}
	for range mostRedirects + 1 {
		res, err := s.send(ctx, base, tail, body)
		if err != nil {
			return nil, err
		}
		if res.status < 300 || res.status == http.StatusNotModified {
			return res, nil
		}
		next, err := s.refusedOrMoved(res, base, tail)
		res.drain()
		if err != nil {
			return nil, err
		}
		base, s.route.base, s.route.until = next, next, time.Time{}
	}
	return nil, &Error{Class: Other, Why: "the server redirects more than " + strconv.Itoa(mostRedirects) + " times", Retry: true,
		Hint: "check the address; it is the one that git clone takes"}
}

// refusedOrMoved says where to ask instead, or why not at all.
func (s *httpSession) refusedOrMoved(res *answer, base, tail string) (string, error) {
	if res.status < 400 {
		return redirected(base, tail, res.header.Get("Location"))
	}
	err := &statusError{code: res.status, after: retryAfter(res.header, time.Now())}
	if s.auth != "" && !sameHost(s.r.base, base) {
		err.host = hostOf(base)
	}
	return "", err
}

// send makes one request. A body makes it a POST; every request may be repeated
// without harm, which the transport does where a kept connection was closed.
func (s *httpSession) send(ctx context.Context, base, tail string, body []byte) (*answer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	method, content := http.MethodGet, io.Reader(nil)
	if body != nil {
		method, content = http.MethodPost, bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, base+tail, content)
	if err != nil {
		cancel(nil)
		return nil, err
	}
	req.Header = http.Header{"User-Agent": {userAgent}, "Git-Protocol": {"version=2"}, "Idempotency-Key": nil} // nil: is not sent
	if body != nil {
		req.Header["Content-Type"] = []string{"application/x-git-upload-pack-request"}
		req.Header["Accept"] = []string{"application/x-git-upload-pack-result"}
	}
	if s.auth != "" && sameHost(s.r.base, base) {
		req.Header["Authorization"] = []string{s.auth}
	}
	s.r.opts.Meter.Requests(1)
	unread := time.AfterFunc(askTimeout, func() { cancel(meter.ErrStalled) })
	res, err := s.r.http.RoundTrip(req)
	unread.Stop()
	if err != nil {
		err = cmp.Or(context.Cause(ctx), err)
		cancel(nil)
		return nil, err
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	return &answer{status: res.StatusCode, header: res.Header, kind: kind, body: res.Body, left: &s.left, pace: meter.Pace{Limp: s.r.opts.Limp}, cancel: cancel}, nil
}

// redirected is the address of the repository after a redirect of what is at tail
// below base. What a server says there is not repeated: it may hold a secret.
func redirected(base, tail, location string) (string, error) {
	from, err := url.Parse(base + tail)
	if err != nil {
		return "", err
	}
	to, err := from.Parse(location)
	if err != nil || location == "" {
		return "", &Error{Class: Other, Why: "the server redirects to what is no address", Retry: true}
	}
	if to.Scheme != "http" && to.Scheme != "https" || to.Hostname() == "" {
		return "", &Error{Class: Other, Why: "the server redirects to a " + strconv.Quote(to.Scheme) + " address, and only http and https are followed",
			Retry: true, Hint: "check the address, and that nobody stands in between"}
	}
	to.User, to.Fragment = nil, ""
	next, ok := strings.CutSuffix(to.String(), tail)
	if !ok {
		return "", &Error{Class: NotRepository, Why: "what is there is no git repository (it redirects to a page of " + to.Host + ")",
			Hint: "check the address; it is the one that git clone takes, and a private repository needs a credentials file"}
	}
	return next, nil
}

// sameHost says whether what is told to from may be told to the other address: the
// same server, and not by a way that is less safe.
func sameHost(from, to string) bool {
	a, err := url.Parse(from)
	b, err2 := url.Parse(to)
	if err != nil || err2 != nil || !strings.EqualFold(a.Hostname(), b.Hostname()) {
		return false
	}
	if a.Scheme == "http" && b.Scheme == "https" {
		return portOf(a) == "80" && portOf(b) == "443"
	}
	return a.Scheme == b.Scheme && portOf(a) == portOf(b)
}

func portOf(u *url.URL) string {
	switch port := u.Port(); {
	case port != "":
		return port
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}

func hostOf(base string) string {
	u, err := url.Parse(base)
	if err != nil {
		return ""
	}
	return u.Host
}

// An answer is read until the session's limit, and only while bytes come.
type answer struct {
	status int
	header http.Header
	kind   string // its media type
	body   io.ReadCloser
	left   *atomic.Int64
	pace   meter.Pace
	cancel context.CancelCauseFunc
	err    error // the first that is no io.EOF: readers of protocols lose it
}

func (a *answer) Read(p []byte) (int, error) {
	var n int
	err := a.pace.Wait(a.cancel, func() (err error) {
		n, err = a.body.Read(p[:min(len(p), oneStep)])
		a.pace.Came(n)
		return err
	})
	if a.left.Add(-int64(n)) < 0 {
		err = errTooLarge
	}
	if a.err == nil && err != io.EOF {
		a.err = err
	}
	return n, err
}

// Close ends the answer; what is left of it is not read, as it may be without end.
func (a *answer) Close() error {
	a.cancel(nil)
	return a.body.Close()
}

// drain closes an answer of which nothing or little is left: its connection is
// kept only when it was read to the end.
func (a *answer) drain() {
	_, _ = io.CopyN(io.Discard, a, 4<<10)
	_ = a.Close()
}

// retryAfter reads how long the server wants to be left alone: seconds or a date;
// GitHub says it in a header of its own. At most an hour is believed.
func retryAfter(h http.Header, now time.Time) time.Duration {
	var d time.Duration
	if text := h.Get("Retry-After"); text != "" {
		if seconds, err := strconv.Atoi(text); err == nil {
			d = time.Duration(min(seconds, 3600)) * time.Second
		} else if at, err := http.ParseTime(text); err == nil {
			d = at.Sub(now)
		}
	} else if h.Get("X-Ratelimit-Remaining") == "0" {
		if at, err := strconv.ParseInt(h.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
			d = time.Unix(at, 0).Sub(now)
		}
	}
	return max(0, min(d, time.Hour))
}
