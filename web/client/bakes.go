package client

import (
	"context"
	"net/http"
	"net/url"

	"popup/console"
	"popup/web/api"
)

// Bake makes an image of an app. It is done once, however often it is asked with the same
// key, which must not be empty; what comes of it the operation tells.
func (c *Client) Bake(ctx context.Context, r console.BakeRequest, key string) (api.Operation, error) {
	return ask[api.Operation](ctx, c, asking{method: http.MethodPost, path: "/bakes", body: r, key: key, again: true})
}

// Images are those that there are, and those that are made.
func (c *Client) Images(ctx context.Context) (api.Images, error) {
	return get[api.Images](ctx, c, "/images", nil)
}

// ForgetImage removes one, and returns once it is gone.
func (c *Client) ForgetImage(ctx context.Context, id string) error {
	_, err := ask[struct{}](ctx, c, asking{method: http.MethodDelete, path: "/images/" + url.PathEscape(id)})
	return err
}
