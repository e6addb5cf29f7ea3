package datasync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/tree"
)

// Classes of errors of archives and buckets, besides git's.
const (
	classNotFound git.Class = "not-found"
	classEmpty    git.Class = "empty"
)

// A statusError is an answer that is no success.
type statusError struct {
	code  int
	after time.Duration
}

func (e *statusError) Error() string {
	return fmt.Sprintf("the server answered %d %s", e.code, http.StatusText(e.code))
}

// explainHTTP says in a sentence what went wrong with a source that is read over
// HTTP. The error is ErrMoved, or a *git.Error, which keeps no address but remote's.
func explainHTTP(ctx context.Context, op, remote string, err error) error {
	if err == nil {
		return nil
	}
	if errors.Is(err, ErrMoved) {
		return fmt.Errorf("%s %s: %w", op, remote, ErrMoved)
	}
	e := classifyHTTP(ctx, withoutURL(err))
	e.Op, e.Remote = op, remote
	return &e
}

// withoutURL takes off what carries a URL: it may hold a signature, and be another's.
func withoutURL(err error) error {
	for {
		var byURL *url.Error
		if !errors.As(err, &byURL) {
			return err
		}
		err = byURL.Err
	}
}

func classifyHTTP(ctx context.Context, err error) git.Error {
	var known *git.Error
	var status *statusError
	var limit *tree.LimitError
	var entry *tree.EntryError
	switch {
	case errors.As(err, &known):
		return *known
	case errors.As(err, &limit):
		return git.Error{Class: git.TooLarge, Err: err}
	case errors.As(err, &entry):
		return git.Error{Class: git.Content, Err: err}
	case isDiskFull(err):
		return git.Error{Class: git.Other, Err: err, Why: "the disk is full", Hint: "free some space", Retry: true}
	case ctx.Err() != nil && !errors.Is(ctx.Err(), context.DeadlineExceeded):
		return git.Error{Class: git.Other, Err: ctx.Err(), Why: "it was stopped", Retry: true}
	case errors.As(err, &status):
		return classifyStatus(status)
	}
	return classifyNetwork(err)
}

func classifyStatus(s *statusError) git.Error {
	e := git.Error{Class: git.Other, Err: s, After: s.after, Retry: s.code >= 500}
	switch s.code {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		e.Class, e.Retry, e.Why, e.Hint = git.RateLimited, true, "the server asks us to come less often", "ask less often"
	case http.StatusUnauthorized, http.StatusForbidden:
		e.Class, e.Why = git.Credentials, fmt.Sprintf("the server does not let us read it (%d)", s.code)
		e.Hint = "check the address, and what is in the credentials file; some servers answer so for what does not exist"
	case http.StatusNotFound, http.StatusGone:
		e.Class, e.Why, e.Hint = classNotFound, "there is nothing at that address", "check the address; a private one needs a credentials file"
	}
	return e
}

// classifyNetwork tells apart the ways a server is not reached.
func classifyNetwork(err error) git.Error {
	var dns *net.DNSError
	var op *net.OpError
	var cert *tls.CertificateVerificationError
	var record tls.RecordHeaderError
	var authority x509.UnknownAuthorityError
	var timeout net.Error
	e := git.Error{Class: git.Other, Err: err, Retry: true}
	switch {
	case errors.As(err, &dns):
		e.Class, e.Why, e.Hint = git.DNS, "the name "+strconv.Quote(dns.Name)+" was not found", "check the host name and the network"
	case errors.As(err, &cert), errors.As(err, &authority):
		e.Class, e.Why = git.TLS, "the server's certificate is not trusted: "+err.Error()
		e.Hint = "check this machine's clock, and that nobody stands in between"
	case errors.As(err, &record), strings.Contains(err.Error(), "tls: "), strings.Contains(err.Error(), "HTTP response to HTTPS client"):
		e.Class, e.Hint = git.TLS, "check the port, and that the server speaks https there"
	case errors.Is(err, meter.ErrSlow):
		e.Class, e.Why, e.Hint = git.Timeout, "the server sent less than a kilobyte a second for minutes", "check the network, or try again later"
	case errors.Is(err, meter.ErrStalled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded),
		errors.As(err, &timeout) && timeout.Timeout():
		e.Class, e.Why, e.Hint = git.Timeout, "no answer in time", "check the network, or try again later"
	case strings.Contains(err.Error(), "transport connection broken: ") && !errors.Is(err, io.ErrUnexpectedEOF):
		e.Why, e.Hint = "what answers there does not speak HTTP", "check the address and the port, and that nobody stands in between"
	case errors.As(err, &op):
		e.Class, e.Why, e.Hint = git.Unreachable, "the server is not reached: "+op.Err.Error(), "check the address and the network"
	case errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.ErrUnexpectedEOF):
		e.Class, e.Why, e.Hint = git.Unreachable, "the server hung up", "try again later"
	}
	return e
}

// askedToWait reads how long a server wants to be left alone: seconds, or a date.
// At most an hour is believed.
func askedToWait(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Duration(max(0, min(seconds, 3600))) * time.Second
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	return max(0, min(at.Sub(now), time.Hour))
}
