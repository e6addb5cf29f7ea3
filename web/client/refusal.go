package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"popup/web/api"
)

// An Error is an answer that says no, in sentences.
type Error struct{ api.Problem }

func (e *Error) Error() string {
	text := e.Detail
	if len(e.Errors) > 0 {
		text = "the console does not take that:"
		for _, f := range e.Errors {
			text += "\n  " + f.Field + ": " + f.Message
		}
	}
	if text == "" {
		text = fmt.Sprintf("the console answers %d %s", e.Status, e.Title)
	}
	if e.Status >= http.StatusInternalServerError && e.Request != "" {
		text += " (request " + e.Request + ")"
	}
	return Plain(text)
}

// mostProblem bounds what is read of an answer that says no, in bytes.
const mostProblem = 1 << 20

// refusal reads an answer that says no, and closes it. What stands before a console
// may answer for it, in words of its own.
func refusal(resp *http.Response) error {
	defer func() { _ = resp.Body.Close() }()                      // it was read
	text, _ := io.ReadAll(io.LimitReader(resp.Body, mostProblem)) // the status says enough
	e := &Error{}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case media == api.ProblemType && json.Unmarshal(text, &e.Problem) == nil:
	case media == "text/plain":
		e.Detail, _, _ = strings.Cut(strings.TrimSpace(string(text)), "\n")
	}
	if e.Title == "" {
		e.Title = http.StatusText(resp.StatusCode)
	}
	if resp.StatusCode < 400 {
		e.Detail = "that is no answer of a popup console's: it leads elsewhere"
	}
	e.Status = resp.StatusCode
	if seconds, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.After = time.Duration(seconds) * time.Second
	}
	return e
}

// tries is how often one thing is asked, and longestWait how long a console may have
// it wait in between.
const (
	tries       = 4
	longestWait = 10 * time.Second
)

// retry says whether to ask again after an error, and how much later. Where nobody
// listens nothing was asked; else only what may be done twice is.
func (a asking) retry(err error, try int) (after time.Duration, worthwhile bool) {
	after = 250 * time.Millisecond << try
	var no *Error
	switch {
	case try+1 >= tries:
		return 0, false
	case errors.As(err, &no):
		after = max(after, no.After)
		passing := no.Status == http.StatusBadGateway || no.Status == http.StatusServiceUnavailable
		return after, a.again && passing && after <= longestWait
	case errors.Is(err, syscall.ECONNREFUSED):
		return after, true
	}
	cut := []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE}
	return after, a.again && slices.ContainsFunc(cut, func(e error) bool { return errors.Is(err, e) })
}

// pause waits, unless ctx ends before.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// explain says what to try about an error, and of what was asked no more than where.
func (c *Client) explain(err error) error {
	var no *Error
	if errors.As(err, &no) {
		if no.Status == http.StatusUnauthorized && c.token != "" {
			no.Detail = "this console does not know the token, or no longer does; popup login " + c.url + " makes a new one"
		}
		return err
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
	}
	if better := untrusted(err); better != nil {
		err = better
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		err = fmt.Errorf("%w; nobody listens there: is the console running?", err)
	}
	return fmt.Errorf("ask %s: %w", c.url, err)
}
