package client

import (
	"context"
	"net/http"
	"net/url"

	"popup/console"
	"popup/web/api"
)

func event(id string) string { return "/events/" + url.PathEscape(id) }

// Events are those that whoever asks may see, the one that ends next first.
func (c *Client) Events(ctx context.Context) (api.Events, error) {
	return get[api.Events](ctx, c, "/events", nil)
}

// Event is one, by its id or its name.
func (c *Client) Event(ctx context.Context, id string) (api.Event, error) {
	return get[api.Event](ctx, c, event(id), nil)
}

// Receipt says what became of everything that was made for an event.
func (c *Client) Receipt(ctx context.Context, id string) (api.Receipt, error) {
	return get[api.Receipt](ctx, c, event(id)+"/receipt", nil)
}

// DismissThing says that a thing that was left behind may stay; id is its cloud's.
func (c *Client) DismissThing(ctx context.Context, name, id string) (api.Receipt, error) {
	return ask[api.Receipt](ctx, c, asking{method: http.MethodPost, path: event(name) + "/dismiss", body: api.Confirm{Name: id}, again: true})
}

// ChangeEvent changes an event; what of change is nil stays.
func (c *Client) ChangeEvent(ctx context.Context, id string, change console.EventChange) (api.Event, error) {
	return ask[api.Event](ctx, c, asking{method: http.MethodPatch, path: event(id), body: change, again: true})
}

// EndEvent ends an event now; name must be its name. What comes of it the operation tells.
func (c *Client) EndEvent(ctx context.Context, id, name string) (api.Operation, error) {
	return ask[api.Operation](ctx, c, asking{method: http.MethodPost, path: event(id) + "/end", body: api.Confirm{Name: name}})
}
