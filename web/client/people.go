package client

import (
	"context"
	"net/http"
	"net/url"

	"popup/web/api"
)

// Login makes a token with a name and a password.
func (c *Client) Login(ctx context.Context, l api.Login) (api.AddedToken, error) {
	return ask[api.AddedToken](ctx, c, asking{method: http.MethodPost, path: "/login", body: l})
}

// Me is who asks.
func (c *Client) Me(ctx context.Context) (api.Me, error) { return get[api.Me](ctx, c, "/me", nil) }

// Cluster is who keeps the console's store.
func (c *Client) Cluster(ctx context.Context) (api.Cluster, error) {
	return get[api.Cluster](ctx, c, "/cluster", nil)
}

// RemoveToken ends a token.
func (c *Client) RemoveToken(ctx context.Context, id string) error {
	_, err := ask[struct{}](ctx, c, asking{method: http.MethodDelete, path: "/tokens/" + url.PathEscape(id)})
	return err
}

// EndToken ends the token that this client asks with. A helper's link is none, and stays.
func (c *Client) EndToken(ctx context.Context) error {
	me, err := c.Me(ctx)
	if err != nil || me.TokenID == "" {
		return err
	}
	return c.RemoveToken(ctx, me.TokenID)
}
