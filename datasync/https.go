package datasync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/tree"
	"popup/internal/wire"
)

// An httpsSource is one archive behind an address. A revision is a hash of the
// ETag, or where there is none of Last-Modified and the length.
type httpsSource struct {
	address     *url.URL
	credentials string // a file
	limits      tree.Limits
	guard       *httpGuard
	client      *http.Client
	noHead      atomic.Bool // the server refuses HEAD
	last        atomic.Pointer[validator]
}

// A validator is what an answer says of which version it has.
type validator struct {
	rev  Revision
	etag string // empty: it has none, and cannot be asked about
}

func newHTTPS(spec wire.Source, opts SourceOptions, limits tree.Limits) (Source, error) {
	u, err := parseArchiveURL(spec.URL)
	if err != nil {
		return nil, fmt.Errorf("open source: %w", err)
	}
	s := &httpsSource{address: u, credentials: spec.CredentialsFile, limits: limits.OrDefault(), guard: newHTTPGuard(opts)}
	s.client = &http.Client{Transport: s.guard, CheckRedirect: s.checkRedirect}
	return s, nil
}

// parseArchiveURL never puts the address into an error: it may hold a password.
func parseArchiveURL(text string) (*url.URL, error) {
	const help = "write one like https://example.org/data.tar.zst"
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http":
		return nil, errors.New("that is not the address of an archive; " + help)
	case u.User != nil:
		return nil, errors.New("the archive's address carries a user name or a password, which everybody who reads it would have; use a credentials file")
	case u.Fragment != "":
		return nil, errors.New("the archive's address has a # in it; " + help)
	}
	return u, nil
}

func (s *httpsSource) bounds() tree.Limits { return s.limits }

// unproven: no id of a revision follows from what it holds.
func (s *httpsSource) unproven() {}

// String leaves out what stands after a ?: it may be a signature.
func (s *httpsSource) String() string {
	text, _, query := strings.Cut(s.address.String(), "?")
	if query {
		text += "?..."
	}
	return text
}

// Cost is what was asked and transferred so far.
func (s *httpsSource) Cost() meter.Cost { return s.guard.meter.Read() }

// Head asks for the headers alone, on a connection that is kept.
func (s *httpsSource) Head(ctx context.Context) (Revision, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	rev, err := s.ask(ctx)
	return rev, explainHTTP(ctx, "look at", s.String(), err)
}

func (s *httpsSource) ask(ctx context.Context) (Revision, error) {
	if !s.noHead.Load() {
		rev, err := s.askBy(ctx, http.MethodHead)
		var status *statusError
		if !errors.As(err, &status) || !refusesHead(status.code) {
			return rev, err
		}
	}
	rev, err := s.askBy(ctx, http.MethodGet)
	s.noHead.Store(err == nil)
	return rev, err
}

func (s *httpsSource) askBy(ctx context.Context, method string) (Revision, error) {
	last := s.last.Load()
	res, err := s.do(ctx, method, last)
	if err != nil {
		return "", err
	}
	if err := res.Body.Close(); err != nil { // what a GET would go on to send is not wanted
		return "", err
	}
	if res.StatusCode == http.StatusNotModified && last != nil && last.etag != "" {
		return last.rev, nil
	}
	v, err := s.validate(res)
	if err != nil {
		return "", err
	}
	s.last.Store(&v)
	return v.rev, nil
}

// refusesHead: an address that was signed for a GET answers 403.
func refusesHead(status int) bool {
	return status == http.StatusMethodNotAllowed || status == http.StatusNotImplemented ||
		status == http.StatusForbidden || status == http.StatusBadRequest
}

// do asks once. last is what the server may answer that it still has; nil: nothing.
func (s *httpsSource) do(ctx context.Context, method string, last *validator) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.address.String(), nil)
	if err != nil {
		return nil, err
	}
	if err := s.signIn(req); err != nil {
		return nil, err
	}
	// An older file may take the place of a newer one, which If-Modified-Since would miss.
	if last != nil && last.etag != "" {
		req.Header.Set("If-None-Match", last.etag)
	}
	return s.client.Do(req)
}

// signIn reads what to sign in with, afresh.
func (s *httpsSource) signIn(req *http.Request) error {
	if s.credentials == "" {
		return nil
	}
	text, err := readCredentials(s.credentials)
	if err != nil {
		return err
	}
	if strings.ContainsAny(text, "\r\n") {
		return &git.Error{Class: git.Credentials, Why: "the credentials file has more than one line", Hint: "write user:password or a token, alone"}
	}
	if user, password, ok := strings.Cut(text, ":"); ok {
		req.SetBasicAuth(user, password)
		return nil
	}
	req.Header.Set("Authorization", "Bearer "+text)
	return nil
}

const mostRedirects = 5

// checkRedirect follows a server to others, but not to where anybody could change
// what is sent, and not with what signs in here.
func (s *httpsSource) checkRedirect(req *http.Request, via []*http.Request) error {
	req.Header.Del("Referer")
	if req.URL.Scheme != s.address.Scheme || req.URL.Host != s.address.Host {
		req.Header.Del("Authorization")
	}
	from := via[len(via)-1].URL.Scheme
	refuse := func(why string) error {
		return &git.Error{Class: git.Other, Why: "the server sends us on " + why, Hint: "write the address of the archive itself"}
	}
	switch {
	case len(via) > mostRedirects:
		return refuse(fmt.Sprintf("more than %d times", mostRedirects))
	case req.URL.Scheme != "https" && req.URL.Scheme != "http":
		return refuse("to what is no web address")
	case from == "https" && req.URL.Scheme == "http":
		return refuse("from https to http, where what it sends could be changed")
	}
	return nil
}

// validate says which version an answer has.
func (s *httpsSource) validate(res *http.Response) (validator, error) {
	if res.StatusCode != http.StatusOK {
		return validator{}, &statusError{res.StatusCode, askedToWait(res.Header, time.Now())}
	}
	// A proxy may weaken an ETag, which makes no other version of it.
	etag := res.Header.Get("ETag")
	version := strings.TrimPrefix(etag, "W/")
	if version == "" {
		modified := res.Header.Get("Last-Modified")
		if modified == "" || res.ContentLength < 0 {
			return validator{}, &git.Error{Class: git.Other, Why: "the server does not say which version it has: neither by an ETag, nor by Last-Modified and Content-Length",
				Hint: "serve the archive as a file, as web servers do"}
		}
		version = fmt.Sprintf("%s %d", modified, res.ContentLength)
	}
	sum := sha256.Sum256([]byte(s.address.String() + "\n" + version))
	return validator{Revision("http-" + hex.EncodeToString(sum[:20])), etag}, nil
}

// Fetch loads the archive and unpacks it while it comes, which may take as long as it
// comes at a meter.Pace.
func (s *httpsSource) Fetch(ctx context.Context, rev, _ Revision, w *tree.Writer) error {
	return explainHTTP(ctx, "fetch "+rev.Short()+" of", s.String(), s.fetch(ctx, rev, w))
}

func (s *httpsSource) fetch(ctx context.Context, rev Revision, w *tree.Writer) (err error) {
	res, err := s.do(ctx, http.MethodGet, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	v, err := s.validate(res)
	switch {
	case err != nil:
		return err
	case v.rev != rev:
		s.last.Store(nil) // what Head saw may never have been, and yet be confirmed by the server
		return ErrMoved
	}
	return readArchive(ctx, res.Body, w, s.limits)
}
