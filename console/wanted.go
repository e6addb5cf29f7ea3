package console

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"reflect"
	"time"

	"popup/apps"
	"popup/internal/wire"
	"popup/userdata"
)

// defaultFreeze is how long before its end an event is frozen where nobody says when.
const defaultFreeze = 10 * time.Minute

// leastFreeze is the same where somebody let it go on by hand: the final backup needs
// a moment in which nothing is written.
const leastFreeze = time.Minute

// wantedOf is how an instance is to be: its event decides, and after that what is
// wanted of it by hand. Its generation is not set.
func wantedOf(e Event, i Instance) wire.Wanted {
	freeze := e.EndsAt.Sub(e.FreezesAt)
	if e.Held == heldOpen {
		freeze = min(freeze, leastFreeze)
	}
	w := wire.Wanted{
		End:      &wire.End{At: e.End, Zone: e.Zone, Freeze: apps.Duration(freeze)},
		ReadOnly: e.State == EventFrozen || given(i.Pinned.ReadOnly),
		Ended:    e.State.Over() || i.State == InstanceEnding || i.State == InstanceGone || i.State == InstanceFailed,
	}
	w.ServiceCommit, w.DataRevision = given(i.Pinned.ServiceCommit), given(i.Pinned.DataRevision)
	return w
}

// given is what p points to, or nothing.
func given[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

// want brings what is wanted of an instance up to date; the generation rises where that
// is something else than before. What goes on may write again: a final backup that came
// already is not the last word then, unless the instance says so when it is over.
func (i *Instance) want(e Event) {
	w := wantedOf(e, *i)
	w.Generation = i.Wanted.Generation
	if !reflect.DeepEqual(w, i.Wanted) {
		w.Generation++
		i.Wanted = w
		if !w.Ended && i.State != InstanceEnding {
			i.Archive = nil
		}
	}
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

// userData renders what an instance is started with. An empty token is left out.
func (c *Console) userData(e Event, d Deployment, i Instance, token string) ([]byte, error) {
	binary, err := c.opts.Binary.For(d.Architectures)
	if err != nil {
		return nil, err
	}
	plan := d.Plan
	plan.Instance = i.ID
	plan.Console = &wire.Console{URL: c.opts.URL, Token: token, Pin: c.opts.Pin}
	plan.End = &wire.End{At: e.End, Zone: e.Zone, Freeze: apps.Duration(e.EndsAt.Sub(e.FreezesAt)), PowerOff: true}
	text, err := userdata.Render(userdata.Spec{Plan: plan, Binary: binary})
	if err != nil {
		return nil, fmt.Errorf("write the user-data of %s: %w", i.ID, err)
	}
	return text, nil
}
