package vm

import (
	"context"
	"fmt"

	"popup/internal/wire"
)

// Identify implements console.Identifier: a document counts that the metadata service of
// a machine of this cloud signed.
func (c *Cloud) Identify(ctx context.Context, proof wire.Identity) (machine string, err error) {
	document, err := c.verifier.Verify(proof)
	if err != nil {
		return "", err
	}
	if document.Region != region {
		return "", fmt.Errorf("verify the machine's identity: it is of the region %.40q, and machines here are of %q", document.Region, region)
	}
	return document.InstanceID, ctx.Err()
}
