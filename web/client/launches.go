package client

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"popup/console"
	"popup/web/api"
)

// Preview says what a launch would do.
func (c *Client) Preview(ctx context.Context, r console.LaunchRequest) (api.Preview, error) {
	return ask[api.Preview](ctx, c, asking{method: http.MethodPost, path: "/launches", query: given("validate_only", "true"), body: r, again: true})
}

// Launch launches. It is done once, however often it is asked with the same key, which
// must not be empty; what comes of it the operation tells.
func (c *Client) Launch(ctx context.Context, r console.LaunchRequest, key string) (api.Operation, error) {
	return ask[api.Operation](ctx, c, asking{method: http.MethodPost, path: "/launches", body: r, key: key, again: true})
}

// Into is what a launch says of its event: where there is one of the name that r has, its
// id, and else that it is to be made.
func (c *Client) Into(ctx context.Context, r console.EventRequest) (console.EventRequest, error) {
	if r.Name == "" {
		return r, nil
	}
	e, err := c.Event(ctx, r.Name)
	var no *Error
	switch {
	case errors.As(err, &no) && no.Status == http.StatusNotFound:
		return r, nil
	case err != nil:
		return r, err
	}
	r.ID, r.Name = e.ID, ""
	return r, nil
}

// Operation is one, as far as it is by now.
func (c *Client) Operation(ctx context.Context, id string) (api.Operation, error) {
	return get[api.Operation](ctx, c, "/operations/"+url.PathEscape(id), nil)
}

// The states of an operation.
const (
	running = string(console.OperationRunning)
	failed  = string(console.OperationFailed)
)

// A FailedError says that an operation came to no good end.
type FailedError struct{ Operation api.Operation }

func (e *FailedError) Error() string {
	return Plain(e.Operation.Verb + " failed: " + e.Operation.Failure)
}

// every is how often a console is asked how far something is.
const every = time.Second

// Follow waits until an operation is over, and hands each of its instances to seen
// whenever its health is another. The error is a *FailedError where it failed.
func (c *Client) Follow(ctx context.Context, o api.Operation, seen func(api.Instance)) (api.Operation, error) {
	known := map[string]string{}
	for {
		now, err := c.Operation(ctx, o.ID)
		if err != nil {
			return o, err
		}
		err = c.each(ctx, InstanceQuery{Event: o.Event}, func(i api.Instance) {
			is := i.Health + "\n" + i.Why
			if slices.Contains(o.Instances, i.ID) && known[i.ID] != is {
				known[i.ID] = is
				seen(i)
			}
		})
		switch {
		case err != nil:
			return now, err
		case now.State == failed:
			return now, &FailedError{now}
		case now.State != running:
			return now, nil
		}
		if err := c.pause(ctx, every); err != nil {
			return now, err
		}
	}
}
