// Package peers is what the consoles of one cluster ask each other for: archives, of which
// each is kept by two of them, the popup that instances download, and logs that instances
// sent to one of them. They reach each
// other by the cluster's own link, which lets nobody else in.
package peers

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"popup/console"
	"popup/internal/archive"
	"popup/internal/wire"
)

const (
	vaultPath    = "/vault/"
	downloadPath = "/download/"
	logPath      = "/log/"
)

const (
	// stallTime is how long nothing may come or go before the other side is given up.
	stallTime = 30 * time.Second
	// readBackRate is how many bytes a second another console reads back at least.
	readBackRate = 4 << 20
	// shortTime bounds what is only asked.
	shortTime = 10 * time.Second

	mostList   = 64 << 20 // bytes of a list
	mostReason = 4 << 10  // bytes of an answer that says no
)

// A Client asks the other consoles. Its methods may be called from several goroutines.
type Client struct {
	http   *http.Client
	others func(context.Context) ([]string, error)
	stall  time.Duration
}

var (
	_ console.Peers    = (*Client)(nil)
	_ console.LogPeers = (*Client)(nil)
)

// New makes a client of the consoles that others lists. client reaches one at
// https://ADDRESS/, and bounds nothing.
func New(client *http.Client, others func(context.Context) ([]string, error)) *Client {
	return &Client{client, others, stallTime}
}

// Others implements console.Peers.
func (c *Client) Others(ctx context.Context) ([]string, error) { return c.others(ctx) }

// Put implements console.Peers.
func (c *Client) Put(ctx context.Context, member, name string, size int64, sum []byte, r io.Reader) error {
	asked, done := context.WithTimeout(ctx, readBackTime(size))
	has, err := c.ask(asked, http.MethodHead, member, vaultPath+url.PathEscape(name), func(req *http.Request) { announce(req, size, sum) })
	done()
	if err == nil {
		return has.Body.Close()
	}
	if !errors.Is(err, archive.ErrNotFound) {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stalled := time.AfterFunc(c.stall, func() { cancel(fmt.Errorf("%s takes nothing for %s", member, c.stall)) })
	defer stalled.Stop()
	body := &progress{r: r, left: size, moved: func() { stalled.Reset(c.stall) }, whole: func() { stalled.Reset(readBackTime(size)) }}
	resp, err := c.ask(ctx, http.MethodPut, member, vaultPath+url.PathEscape(name), func(req *http.Request) {
		announce(req, size, sum)
		req.Body, req.ContentLength = io.NopCloser(body), size
	})
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return resp.Body.Close()
}

// readBackTime is how long a console may take to sync and read back so many bytes.
func readBackTime(size int64) time.Duration {
	return stallTime + time.Duration(size/readBackRate)*time.Second
}

func announce(req *http.Request, size int64, sum []byte) {
	req.Header.Set(wire.HeaderDigest, wire.Digest(sum))
	req.Header.Set(headerSize, fmt.Sprint(size))
}

// headerSize is how many bytes an archive has, where there is no body to say it.
const headerSize = "Popup-Size"

// A progress tells of each piece that was read.
type progress struct {
	r            io.Reader
	left         int64 // bytes
	moved, whole func()
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.r.Read(b)
	if p.left -= int64(n); p.left > 0 {
		p.moved()
	} else {
		p.whole()
	}
	return n, err
}

// Get implements console.Peers.
func (c *Client) Get(ctx context.Context, member, name string) (io.ReadCloser, error) {
	return c.open(ctx, member, vaultPath+url.PathEscape(name), nil)
}

// open opens what another console has. Reading it fails where nothing more comes.
func (c *Client) open(ctx context.Context, member, path string, change func(*http.Request)) (*coming, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	stalled := time.AfterFunc(shortTime, func() { cancel(fmt.Errorf("%s sends nothing", member)) })
	resp, err := c.ask(ctx, http.MethodGet, member, path, change)
	stalled.Stop()
	if err != nil {
		err = errors.Join(err, context.Cause(ctx))
		cancel(nil)
		return nil, err
	}
	return &coming{resp, stalled, c.stall, cancel}, nil
}

// coming is the body of an answer. Who reads it may take its time; who sends it may not.
type coming struct {
	*http.Response
	stalled *time.Timer
	stall   time.Duration
	cancel  context.CancelCauseFunc
}

func (b *coming) Read(p []byte) (int, error) {
	b.stalled.Reset(b.stall)
	defer b.stalled.Stop()
	return b.Body.Read(p)
}

func (b *coming) Close() error {
	defer b.cancel(nil)
	return b.Body.Close()
}

// List implements console.Peers.
func (c *Client) List(ctx context.Context, member string) (items []archive.Item, err error) {
	ctx, cancel := context.WithTimeout(ctx, stallTime)
	defer cancel()
	resp, err := c.ask(ctx, http.MethodGet, member, vaultPath, nil)
	if err != nil {
		return nil, err
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, mostList)).Decode(&items)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return nil, fmt.Errorf("list the backups of %s: %w", member, err)
	}
	return items, nil
}

// Delete implements console.Peers.
func (c *Client) Delete(ctx context.Context, member, name string) error {
	ctx, cancel := context.WithTimeout(ctx, shortTime)
	defer cancel()
	resp, err := c.ask(ctx, http.MethodDelete, member, vaultPath+url.PathEscape(name), nil)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}

// Download opens a popup that another console serves, by its SHA-256 in hex, or the part
// of it that a header Range names. The error is console.ErrNotFound where none that
// answers has it. The caller closes its body.
func (c *Client) Download(ctx context.Context, sum, part string) (*http.Response, error) {
	others, err := c.others(ctx)
	if err != nil {
		return nil, err
	}
	for _, member := range others {
		got, err := c.open(ctx, member, downloadPath+url.PathEscape(sum), func(req *http.Request) {
			if part != "" {
				req.Header.Set("Range", part)
			}
		})
		if err == nil {
			answer := *got.Response
			answer.Body = got
			return &answer, nil
		}
	}
	return nil, console.ErrNotFound
}

// SentLog implements console.LogPeers.
func (c *Client) SentLog(ctx context.Context, instance, command string) ([]byte, error) {
	others, err := c.others(ctx)
	if err != nil {
		return nil, err
	}
	for _, member := range others {
		got, err := c.open(ctx, member, logPath+url.PathEscape(instance)+"/"+url.PathEscape(command), nil)
		if err != nil {
			continue // another one may have it
		}
		body, err := io.ReadAll(io.LimitReader(got, wire.MaxLogs+1))
		if err = errors.Join(err, got.Close()); err == nil && len(body) <= wire.MaxLogs {
			return body, nil
		}
	}
	return nil, console.ErrNotFound
}

// ask sends a request, and returns an answer that is good. The error is
// archive.ErrNotFound where there is no such thing.
func (c *Client) ask(ctx context.Context, method, member, path string, change func(*http.Request)) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "https://"+member+path, nil)
	if err != nil {
		return nil, err
	}
	if change != nil {
		change(req)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err // it names the member
	}
	if resp.StatusCode < 300 {
		return resp, nil
	}
	said, _ := io.ReadAll(io.LimitReader(resp.Body, mostReason)) // the status says enough
	closed := resp.Body.Close()
	if resp.StatusCode == http.StatusNotFound {
		return nil, errors.Join(archive.ErrNotFound, closed)
	}
	return nil, errors.Join(fmt.Errorf("%s answers %s: %s", member, resp.Status, bytes.TrimSpace(said)), closed)
}
