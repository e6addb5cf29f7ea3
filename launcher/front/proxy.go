package front

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// Proxy forwards to a program that listens on addr: host:port, or unix:PATH. The
// Host header is kept, X-Forwarded-For, -Host and -Proto are set to what the
// front saw, upgrades (websockets) pass, and answers are flushed as they come.
// When nothing listens the answer is 502.
func Proxy(addr string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "app"}) // the transport knows where it is
			r.Out.Host = r.In.Host
			r.Out.URL.RawQuery = r.In.URL.RawQuery // the app reads it, not we: nothing is dropped from it
			r.SetXForwarded()
		},
		Transport:     newTransport(addr),
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, r *http.Request, err error) { refuseProxied(w, r, addr, err) },
		ErrorLog:      log.New(io.Discard, "", 0), // errors reach the front through fail
	}
}

// newTransport keeps connections only for a moment: an app that closes an idle
// one just as a form is sent over it would lose the form.
func newTransport(addr string) *http.Transport {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, addr)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     time.Second,
	}
}

func refuseProxied(w http.ResponseWriter, r *http.Request, addr string, err error) {
	var large *http.MaxBytesError
	var dial *net.OpError
	switch {
	case errors.As(err, &large):
		fail(w, r, noticeTooLarge(large.Limit), nil)
	case r.Context().Err() != nil:
		panic(http.ErrAbortHandler) // the reader has left, or the drain is over
	case errors.As(err, &dial) && dial.Op == "dial":
		fail(w, r, noticeNoAnswer(), fmt.Errorf("nothing listens on %s: %w", addr, plainDialError(err)))
	case errors.Is(err, io.EOF), errors.Is(err, syscall.ECONNRESET):
		fail(w, r, noticeNoAnswer(), fmt.Errorf("the app on %s hung up without an answer", addr))
	default:
		fail(w, r, noticeNoAnswer(), fmt.Errorf("ask the app on %s: %w", addr, err))
	}
}
