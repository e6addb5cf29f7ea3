package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"popup/internal/wire"
	"popup/web/api"
)

// An InstanceQuery narrows a list of instances. Empty fields do not.
type InstanceQuery struct {
	Text, Event, App, Health, Cloud string
	Sort                            string // id, event, app, health, heard, data or requests; a - before it turns it round
	Page                            string // the token of the page before; empty: the first
	Size                            int    // of a page; 0: the console's own
}

// Instances are a page of them.
func (c *Client) Instances(ctx context.Context, q InstanceQuery) (api.Instances, error) {
	query := given("q", q.Text, "event", q.Event, "app", q.App, "health", q.Health, "cloud", q.Cloud, "sort", q.Sort, "page_token", q.Page)
	if q.Size != 0 {
		query.Set("page_size", strconv.Itoa(q.Size))
	}
	return get[api.Instances](ctx, c, "/instances", query)
}

// each hands all instances, page by page, to fn.
func (c *Client) each(ctx context.Context, q InstanceQuery, fn func(api.Instance)) error {
	for {
		page, err := c.Instances(ctx, q)
		if err != nil {
			return err
		}
		for _, i := range page.Instances {
			fn(i)
		}
		if page.Next == "" {
			return nil
		}
		q.Page = page.Next
	}
}

func instance(id string) string { return "/instances/" + url.PathEscape(id) }

// Order has an instance do something; the order's result comes with a later report.
func (c *Client) Order(ctx context.Context, id string, order api.NewOrder) (api.Order, error) {
	return ask[api.Order](ctx, c, asking{method: http.MethodPost, path: instance(id) + "/commands", body: order})
}

// Replace has another machine take the place of an instance's, and returns which instance
// that is. snapshot keeps the disks of the old one.
func (c *Client) Replace(ctx context.Context, id string, snapshot bool) (api.Replaced, error) {
	return ask[api.Replaced](ctx, c, asking{method: http.MethodPost, path: instance(id) + "/replace", body: api.Replace{Snapshot: snapshot}})
}

// Orders are those that an instance was given, and what became of them.
func (c *Client) Orders(ctx context.Context, id string) (api.Orders, error) {
	return get[api.Orders](ctx, c, instance(id)+"/orders", nil)
}

// Log is what an instance sent for an order of its log: text that may hold anything. The
// error is an *Error with status 404 until it came.
func (c *Client) Log(ctx context.Context, id, order string) (text []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ask := asking{method: http.MethodGet, path: instance(id) + "/logs/" + url.PathEscape(order), again: true}
	err = c.open(ctx, ask, func(resp *http.Response) (err error) {
		text, err = readAll(resp.Body, mostAnswer)
		return err
	})
	return text, err
}

// FetchLog has an instance send its log, and waits for it, at most so long.
func (c *Client) FetchLog(ctx context.Context, id string, longest time.Duration) ([]byte, error) {
	order, err := c.Order(ctx, id, api.NewOrder{Verb: wire.VerbLogs})
	if err != nil {
		return nil, err
	}
	within, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	text, err := c.awaitLog(within, id, order.ID)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		return nil, fmt.Errorf("%s did not send its log within %s; popup ls says when it was heard last", id, longest)
	}
	return text, err
}

func (c *Client) awaitLog(ctx context.Context, id, order string) ([]byte, error) {
	for {
		orders, err := c.Orders(ctx, id) // before the log: an order is answered after it was sent
		if err != nil {
			return nil, err
		}
		text, err := c.Log(ctx, id, order)
		var no *Error
		if !errors.As(err, &no) || no.Status != http.StatusNotFound {
			return text, err
		}
		if at := slices.IndexFunc(orders.Orders, func(o api.Order) bool { return o.ID == order && o.Result != nil }); at >= 0 {
			return nil, fmt.Errorf("%s sent no log: %s", id, orders.Orders[at].Result.Text)
		}
		if err := c.pause(ctx, every); err != nil {
			return nil, err
		}
	}
}
