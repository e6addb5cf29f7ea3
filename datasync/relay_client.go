package datasync

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/tree"
)

// A relayClient reads what a relay serves. It believes none of it.
type relayClient struct {
	base   *url.URL
	guard  *httpGuard
	client *http.Client

	mu   sync.Mutex
	last relayAnswer
}

// A relayAnswer is what the relay said last, and how to ask whether it still does.
type relayAnswer struct {
	head           relayHead
	etag, modified string // both empty: it cannot be asked
}

func newRelayClient(address string, opts SourceOptions) (*relayClient, error) {
	base, err := url.Parse(address)
	if err != nil {
		return nil, errors.New("open relay: that is no address") // which may hold a password
	}
	c := &relayClient{base: base, guard: newHTTPGuard(opts)}
	c.client = &http.Client{Transport: c.guard, CheckRedirect: c.checkRedirect}
	return c, nil
}

func (c *relayClient) String() string { return c.base.String() }

func (c *relayClient) cost() meter.Cost { return c.guard.meter.Read() }

// checkRedirect follows the relay to other web servers, but not out of https.
func (c *relayClient) checkRedirect(req *http.Request, via []*http.Request) error {
	secure := req.URL.Scheme == "https" || req.URL.Scheme == "http" && via[len(via)-1].URL.Scheme == "http"
	if len(via) > mostRedirects || !secure {
		return &git.Error{Class: git.Other, Why: "the relay sends us on to where it cannot be followed", Hint: "write the address that it is really at"}
	}
	return nil
}

// head asks what is newest: one small request on a connection that is kept.
func (c *relayClient) head(ctx context.Context) (relayHead, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	head, err := c.ask(ctx)
	return head, explainHTTP(ctx, "look at the relay", c.String(), err)
}

func (c *relayClient) ask(ctx context.Context) (_ relayHead, err error) {
	c.mu.Lock()
	last := c.last
	c.mu.Unlock()
	res, err := c.get(ctx, relayHeadName, last)
	if err != nil {
		return relayHead{}, err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode == http.StatusNotModified && last.etag+last.modified != "" {
		return last.head, nil
	}
	if res.StatusCode != http.StatusOK {
		return relayHead{}, &statusError{res.StatusCode, askedToWait(res.Header, time.Now())}
	}
	text, err := io.ReadAll(io.LimitReader(res.Body, mostRelayHead+1))
	if err != nil {
		return relayHead{}, err
	}
	if len(text) > mostRelayHead {
		return relayHead{}, contentError(fmt.Errorf("%s is larger than %s", relayHeadName, tree.Bytes(mostRelayHead)))
	}
	answer := relayAnswer{etag: res.Header.Get("ETag"), modified: datable(res.Header)}
	if answer.head, err = parseRelayHead(text); err != nil {
		return relayHead{}, contentError(err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.last = answer
	return answer.head, nil
}

// datable is Last-Modified where it tells one version from the next: a second is long
// enough for two.
func datable(h http.Header) string {
	text := h.Get("Last-Modified")
	modified, err := http.ParseTime(text)
	if err != nil {
		return ""
	}
	now, err := http.ParseTime(h.Get("Date"))
	if err != nil || now.Sub(modified) < 2*time.Second {
		return ""
	}
	return text
}

func contentError(err error) error {
	return &git.Error{Class: git.Content, Err: err, Hint: "publish there again", Retry: true}
}

func (c *relayClient) get(ctx context.Context, name string, last relayAnswer) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, c.base.JoinPath(name).String(), nil)
	if err != nil {
		return nil, err
	}
	switch {
	case last.etag != "":
		req.Header.Set("If-None-Match", last.etag)
	case last.modified != "":
		req.Header.Set("If-Modified-Since", last.modified)
	}
	return c.client.Do(req)
}

// fetch writes the tree of h by w. have is the revision whose tree w.Base is; empty: none.
func (c *relayClient) fetch(ctx context.Context, h relayHead, have Revision, w *tree.Writer, limits tree.Limits) error {
	ctx, cancel := context.WithTimeout(ctx, loadTimeout)
	defer cancel()
	return c.load(ctx, h.pick(have), h.root(), w, limits)
}

func (c *relayClient) load(ctx context.Context, a relayArchive, root tree.ID, w *tree.Writer, limits tree.Limits) (err error) {
	res, err := c.get(ctx, a.Name, relayAnswer{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, res.Body.Close()) }()
	if res.StatusCode != http.StatusOK {
		return &statusError{res.StatusCode, askedToWait(res.Header, time.Now())}
	}
	sum := sha256.New()
	body := &download{from: io.TeeReader(res.Body, sum), left: a.Size, limit: a.Size}
	err = readRelayArchive(ctx, body, root, w, limits)
	if err == nil {
		_, err = io.Copy(io.Discard, body) // what the decoder did not look at
	}
	switch {
	case body.left < 0, err == nil && (body.left > 0 || hex.EncodeToString(sum.Sum(nil)) != a.SHA256):
		return fmt.Errorf("%s is not the file that %s names", a.Name, relayHeadName)
	case body.err != nil:
		return body.err
	}
	return explainArchive(err)
}
