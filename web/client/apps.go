package client

import (
	"context"
	"net/url"

	"popup/web/api"
)

// Apps is the catalogue, narrowed to what all words of text are about; empty: all of it.
func (c *Client) Apps(ctx context.Context, text string) (api.Catalogue, error) {
	return get[api.Catalogue](ctx, c, "/apps", given("q", text))
}

// App is an app with its manifest.
func (c *Client) App(ctx context.Context, id string) (api.App, error) {
	return get[api.App](ctx, c, "/apps/"+url.PathEscape(id), nil)
}

// given is a query of pairs, without those whose value is empty.
func given(pairs ...string) url.Values {
	query := url.Values{}
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			query.Set(pairs[i], pairs[i+1])
		}
	}
	return query
}
