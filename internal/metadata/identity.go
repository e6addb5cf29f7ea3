package metadata

import (
	"context"

	"popup/internal/wire"
)

// Identity is what the cloud says of this machine, signed. It is ErrNone of a cloud
// that signs nothing.
func (c *Client) Identity(ctx context.Context) (*wire.Identity, error) {
	const at = "/latest/dynamic/instance-identity/"
	document, err := c.get(ctx, at+"document")
	if err != nil {
		return nil, err
	}
	signature, err := c.get(ctx, at+"rsa2048")
	if err != nil {
		return nil, err
	}
	return &wire.Identity{Kind: wire.IdentityEC2, Document: document, Signature: signature}, nil
}
