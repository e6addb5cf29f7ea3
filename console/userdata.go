package console

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"

	"popup/apps"
	"popup/internal/wire"
	"popup/userdata"
)

// userData renders what an instance is started with. An empty token is left out.
func (c *Console) userData(e Event, d Deployment, i Instance, token string) ([]byte, error) {
	binary, err := c.reach(d.Cloud).Binary.For(d.Architectures)
	if err != nil {
		return nil, err
	}
	plan := d.Plan
	plan.Instance, plan.State.Volume = i.ID, d.volumeOf(i)
	plan.Console = c.toldConsole(i, token)
	plan.End = &wire.End{At: e.End, Zone: e.Zone, Freeze: apps.Duration(e.EndsAt.Sub(e.FreezesAt)), PowerOff: true}
	text, err := userdata.Render(userdata.Spec{Plan: plan, Binary: binary})
	if err != nil {
		return nil, fmt.Errorf("write the user-data of %s: %w", i.ID, err)
	}
	return text, nil
}

// toldConsole is what an instance is told of its console.
func (c *Console) toldConsole(i Instance, token string) *wire.Console {
	reach := c.reach(i.Cloud)
	return &wire.Console{URL: reach.URL, Token: token, Pin: reach.Pin, Identity: i.Proof}
}

// token is what an instance enrols with. It is made of the console's keys, so that the
// store does not hold it and user-data can be rendered again.
func (c *Console) token(i Instance) string {
	return base64.RawURLEncoding.EncodeToString(c.opts.Keys.Derive("enrol", i.ID, string(i.Nonce)))
}

// hashOfToken is what the store keeps of it.
func hashOfToken(token string) []byte {
	sum := sha256.Sum256([]byte(token))
	return sum[:]
}

// isToken says whether hash is of token.
func isToken(token string, hash []byte) bool {
	return token != "" && subtle.ConstantTimeCompare(hashOfToken(token), hash) == 1
}
