// Package client asks a console by its API. It sends a token to nobody but the console
// that it was made for, and asks again only what does no more the second time.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"popup/web/api"
)

// A Client asks one console. It may be used at once from several goroutines.
type Client struct {
	url, token string
	http       *http.Client
	pause      func(context.Context, time.Duration) error // tests wait otherwise
}

const (
	dialTimeout = 10 * time.Second
	// answerTimeout is how long a console may take to begin with its answer: it may look
	// at a repository and ask a cloud before.
	answerTimeout = 2 * time.Minute
	// callTimeout bounds all of what is read into memory, with what is asked again. A
	// download may take what it takes, as long as the other side is there (TCP sees to that).
	callTimeout = 5 * time.Minute
)

// New makes a client of the console that l names. Nothing is asked yet; the error is
// about l. Who called it closes it.
func New(l Login) (*Client, error) {
	at, err := parseURL(l.URL)
	if err != nil {
		return nil, err
	}
	trust, err := trusted(at, l.Pin)
	if err != nil {
		return nil, err
	}
	return &Client{url: at, token: l.Token, pause: pause, http: &http.Client{
		// A token goes to the console that it is of, and nowhere that one sends it.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: trust, ForceAttemptHTTP2: true,
			DialContext: (&net.Dialer{Timeout: dialTimeout}).DialContext, TLSHandshakeTimeout: dialTimeout, ResponseHeaderTimeout: answerTimeout, MaxResponseHeaderBytes: 64 << 10},
	}}, nil
}

// Close lets go of connections that wait for the next request.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// URL is the console's, without a slash at its end.
func (c *Client) URL() string { return c.url }

// parseURL is the address of a console as it is kept.
func parseURL(text string) (string, error) {
	u, err := url.Parse(strings.TrimRight(text, "/"))
	if err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return "", errors.New("that is no address of a console; write it like https://console.example.org, without a path")
	}
	if u.Scheme == "http" && !isLoopback(u.Hostname()) {
		return "", errors.New("http lets everybody on the way read what is sent; write https:// (http is for this machine alone)")
	}
	return u.Scheme + "://" + u.Host, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// mostAnswer bounds an answer that is kept in memory, in bytes.
const mostAnswer = 32 << 20

// An asking is one request.
type asking struct {
	method, path string
	query        url.Values
	body         any    // as JSON; nil: none
	key          string // the Idempotency-Key; empty: none
	// again is set where asking twice does what asking once does.
	again bool
}

// get asks for something, which changes nothing.
func get[T any](ctx context.Context, c *Client, path string, query url.Values) (T, error) {
	return ask[T](ctx, c, asking{method: http.MethodGet, path: path, query: query, again: true})
}

// ask asks, and reads JSON. The error is an *Error where the console answered no.
func ask[T any](ctx context.Context, c *Client, a asking) (v T, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	err = c.open(ctx, a, func(resp *http.Response) error {
		if resp.StatusCode == http.StatusNoContent {
			return nil
		}
		if media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type")); err != nil || media != "application/json" {
			return errors.New("that is no answer of a popup console's")
		}
		text, err := readAll(resp.Body, mostAnswer)
		if err != nil {
			return err
		}
		return json.Unmarshal(text, &v)
	})
	return v, err
}

// readAll reads at most so many bytes; more are an error.
func readAll(r io.Reader, most int64) ([]byte, error) {
	text, err := io.ReadAll(io.LimitReader(r, most+1))
	if err == nil && int64(len(text)) > most {
		err = fmt.Errorf("it is longer than %d bytes", most)
	}
	return text, err
}

// open sends a request, again where that may help, and hands a good answer to read.
func (c *Client) open(ctx context.Context, a asking, read func(*http.Response) error) error {
	var body []byte
	if a.body != nil {
		var err error
		if body, err = json.Marshal(a.body); err != nil {
			return fmt.Errorf("write the request: %w", err)
		}
	}
	for try := 0; ; try++ {
		resp, err := c.send(ctx, a, body)
		if err == nil && resp.StatusCode < 300 {
			return c.take(resp, read)
		}
		if err == nil {
			err = refusal(resp)
		}
		after, worthwhile := a.retry(err, try)
		if !worthwhile || c.pause(ctx, after) != nil {
			return c.explain(err)
		}
	}
}

// take reads a good answer.
func (c *Client) take(resp *http.Response, read func(*http.Response) error) error {
	defer func() { _ = resp.Body.Close() }() // it was read, or nobody wants it
	if err := read(resp); err != nil {
		return fmt.Errorf("read what %s answers: %w", c.url, err)
	}
	return nil
}

func (c *Client) send(ctx context.Context, a asking, body []byte) (*http.Response, error) {
	at := c.url + "/api/v1" + a.path
	if len(a.query) > 0 {
		at += "?" + a.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, a.method, at, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if a.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	if a.key != "" {
		req.Header.Set(api.HeaderKey, a.key)
	}
	return c.http.Do(req)
}
