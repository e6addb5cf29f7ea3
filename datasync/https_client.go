package datasync

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"popup/internal/git"
	"popup/internal/meter"
)

// Times that bound what is read over HTTP. The caller's context may end it earlier.
const (
	connectTimeout = 10 * time.Second
	stallTimeout   = 30 * time.Second // until an answer begins; then its pace counts
	askTimeout     = time.Minute
	loadTimeout    = time.Hour // of what is published, and of a relay, beside which there is the origin
)

// oneStep is what is read at once: a chunk is only handed on when all that was asked
// for came, and a slow line must do that before it stalls.
const oneStep = 16 << 10

// A httpGuard keeps connections between polls, and ends an answer that does not get on.
type httpGuard struct {
	base  *http.Transport
	limp  meter.Limp
	meter meter.Meter
	// guarded: what is asked for was named by somebody who is not trusted.
	guarded bool
}

func newHTTPGuard(opts SourceOptions) *httpGuard {
	dial := opts.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	g := &httpGuard{limp: opts.Limp, guarded: opts.DialContext != nil}
	g.base = &http.Transport{
		DialContext: g.meter.Dial(func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectTimeout)
			defer cancel()
			return dial(ctx, network, address)
		}),
		TLSHandshakeTimeout: connectTimeout, ResponseHeaderTimeout: cmp.Or(opts.Limp.Stall, stallTimeout), MaxResponseHeaderBytes: 64 << 10,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: readAhead, IdleConnTimeout: 10 * time.Minute,
		DisableCompression: true, // what is stored is what is wanted
	}
	if opts.DialContext == nil {
		g.base.Proxy = http.ProxyFromEnvironment
	}
	return g
}

func (g *httpGuard) RoundTrip(req *http.Request) (*http.Response, error) {
	g.meter.Requests(1)
	ctx, cancel := context.WithCancelCause(req.Context())
	res, err := g.base.RoundTrip(req.WithContext(ctx))
	if err != nil {
		cancel(nil)
		return nil, err
	}
	res.Body = &guardedBody{from: res.Body, pace: meter.Pace{Limp: g.limp}, cancel: cancel}
	return res, nil
}

// A guardedBody is read only as long as bytes come.
type guardedBody struct {
	from   io.ReadCloser
	pace   meter.Pace
	cancel context.CancelCauseFunc
}

func (b *guardedBody) Read(p []byte) (int, error) {
	var n int
	err := b.pace.Wait(b.cancel, func() (err error) {
		n, err = b.from.Read(p[:min(len(p), oneStep)])
		b.pace.Came(n)
		return err
	})
	return n, err
}

func (b *guardedBody) Close() error {
	b.cancel(nil) // what is left is not read: it may be without end
	return b.from.Close()
}

// maxCredentials bounds a credentials file.
const maxCredentials = 64 << 10

// readCredentials reads what to sign in with, at every use: it may have been
// rotated. Its content is never put into an error.
func readCredentials(file string) (text string, err error) {
	f, err := os.Open(file)
	if err != nil {
		return "", unreadable(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	all, err := io.ReadAll(io.LimitReader(f, maxCredentials))
	if err != nil {
		return "", unreadable(err)
	}
	if text = strings.TrimSpace(string(all)); text == "" {
		return "", &git.Error{Class: git.Credentials, Why: "the credentials file is empty", Retry: true}
	}
	return text, nil
}

func unreadable(err error) error {
	return &git.Error{Class: git.Credentials, Err: err, Why: "the credentials file cannot be read: " + err.Error(), Retry: true}
}
