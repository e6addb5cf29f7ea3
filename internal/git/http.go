package git

import (
	"context"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/go-git/go-git/v5/plumbing/transport"
	githttp "github.com/go-git/go-git/v5/plumbing/transport/http"
)

// newTransport keeps connections between polls. It is not go-git's global one.
func newTransport(dial func(context.Context, string, string) (net.Conn, error), proxy bool) *http.Transport {
	t := &http.Transport{
		DialContext: dial, TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: stallTimeout,
		ForceAttemptHTTP2: true, MaxIdleConns: 4, IdleConnTimeout: 90 * time.Second, MaxResponseHeaderBytes: 64 << 10,
	}
	if proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

type httpSession struct {
	transport.UploadPackSession
	guard *guard
}

func (s *httpSession) cause(err error) error { return s.guard.cause(err) }

func (r *Remote) connectHTTP(limit int64) (session, error) {
	g := &guard{base: r.http, limit: limit}
	auth, err := r.httpAuth()
	if err != nil {
		return nil, err
	}
	host, port := r.address.hostPort()
	endpoint := &transport.Endpoint{Protocol: r.address.scheme, Host: host, Port: port, Path: r.address.path}
	s, err := githttp.NewClient(&http.Client{Transport: g}).NewUploadPackSession(endpoint, auth)
	if err != nil {
		return nil, err
	}
	return &httpSession{s, g}, nil
}

// httpAuth reads what to sign in with, afresh.
func (r *Remote) httpAuth() (transport.AuthMethod, error) {
	text, err := r.credentials()
	if text == "" || err != nil {
		return nil, err
	}
	if strings.Contains(text, "\n") {
		return nil, &Error{Class: Credentials, Why: "the credentials file has more than one line",
			Hint: "write user:password or a token, alone; an SSH key goes with an ssh address"}
	}
	if user, password, ok := strings.Cut(text, ":"); ok {
		return &githttp.BasicAuth{Username: user, Password: password}, nil
	}
	return &githttp.TokenAuth{Token: text}, nil
}

// guard is the round tripper of one session. It turns answers that are no success
// into errors, bounds what is sent to us, and ends what stalls. The reader of the
// protocol loses the causes of errors, so the first one is kept.
type guard struct {
	base  http.RoundTripper
	limit int64

	mu    sync.Mutex
	first error
}

func (g *guard) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	res, err := g.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, g.keep(err)
	}
	body := &boundedBody{from: res.Body, g: g, cancel: cancel}
	if res.StatusCode >= 400 {
		err = &statusError{res.StatusCode, retryAfter(res.Header, time.Now())}
	} else if res.StatusCode == http.StatusOK {
		err = checkAnswer(req, res)
	}
	if err != nil {
		return nil, errors.Join(g.keep(err), body.Close())
	}
	res.Body = body
	return res, nil
}

// checkAnswer refuses what is no answer of git's: a web page, or a folder of files.
func checkAnswer(req *http.Request, res *http.Response) error {
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if req.Method == http.MethodGet && kind != "application/x-git-upload-pack-advertisement" {
		return &Error{Class: NotRepository, Why: "what is there is no git repository (it answers with " + strconv.Quote(kind) + ")",
			Hint: "check the address; it is the one that git clone takes"}
	}
	return nil
}

func (g *guard) keep(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.first == nil {
		g.first = err
	}
	return err
}

func (g *guard) cause(err error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil && g.first != nil {
		return g.first
	}
	return err
}

// A boundedBody is read until the session's limit, and only while bytes come.
type boundedBody struct {
	from   io.ReadCloser
	g      *guard
	cancel context.CancelCauseFunc
}

func (b *boundedBody) Read(p []byte) (int, error) {
	stalled := time.AfterFunc(stallTimeout, func() { b.cancel(errStalled) })
	n, err := b.from.Read(p)
	if !stalled.Stop() && err != nil {
		err = errStalled
	}
	b.g.mu.Lock()
	b.g.limit -= int64(n)
	over := b.g.limit < 0
	b.g.mu.Unlock()
	if over {
		err = errTooLarge
	}
	if err != nil && err != io.EOF {
		err = b.g.keep(err)
	}
	return n, err
}

func (b *boundedBody) Close() error {
	b.cancel(nil) // what is left is not read: it may be without end
	return b.from.Close()
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
