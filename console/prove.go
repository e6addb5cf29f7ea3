package console

import (
	"context"
	"fmt"
	"time"

	"popup/internal/wire"
)

// A proven is what a cloud says of the proof that somebody enrols with.
type proven struct {
	machine string   // that it is of; empty: none was asked for
	refused *refusal // why it is not believed
}

const (
	proveTimeout = 10 * time.Second // of one Identifier.Identify
	// cannotProve is when an instance asks again whose proof nobody can look at: whoever
	// runs the console has to do something about that.
	cannotProve = 30 * time.Second
)

// prove has the cloud of an instance look at the proof that somebody enrols as it with.
// Whoever enrolled already, or has not even its token, needs none.
func (c *Console) prove(ctx context.Context, i Instance, e wire.Enrolment) (p proven, err error) {
	if i.Proof == "" || len(i.Key) > 0 || !isToken(e.Token, i.TokenHash) {
		return p, nil
	}
	if e.Identity == nil {
		return proven{refused: errNoProof}, nil
	}
	cloud, vouches := c.opts.Clouds[i.Cloud].(Identifier)
	if !vouches {
		c.log.Error("an instance proves which machine it is, and its cloud here cannot tell; start the console as it was started then", "instance", i.ID, "cloud", i.Cloud)
		return p, &BusyError{"this console cannot tell at the moment which machine that is", cannotProve}
	}
	within, cancel := context.WithTimeout(ctx, proveTimeout)
	defer cancel()
	p.machine, err = cloud.Identify(within, *e.Identity)
	switch {
	case err != nil && within.Err() != nil:
		return p, fmt.Errorf("identify the machine of %s: %w", i.ID, err)
	case err != nil:
		p.refused = &refusal{"the proof of which machine this is does not hold: " + plain(err)}
	}
	return p, nil
}

// machineOf says why it is not the machine of an instance; nil: it is, or may be any. The
// error is a *BusyError where the cloud has not answered yet which one that is.
func (p proven) machineOf(i Instance) (*refusal, error) {
	switch {
	case p.refused != nil || i.Proof == "":
		return p.refused, nil
	case i.Machine == "":
		return nil, &BusyError{"the cloud has not said yet which machine this instance has; it is asked to come again", notKnownFor}
	case p.machine != i.Machine:
		return errMachine, nil
	}
	return nil, nil
}

// says tells the audit log of which machine the proof was.
func (p proven) says() string {
	if p.machine == "" {
		return ""
	}
	return fmt.Sprintf(", machine %.60q", p.machine)
}
