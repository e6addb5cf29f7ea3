package console

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"popup/internal/wire"
)

// A Signature is what a request of an instance's carries beside its body.
type Signature struct {
	Instance string // of wire.HeaderInstance
	Value    string // of wire.HeaderSignature
	From     string // the address it came from, for the audit log
}

// ErrOver says that nothing is wanted of an instance any more.
var ErrOver = errors.New("this instance is over; its console wants nothing of it any more")

// A refusal is an ErrForbidden in words of its own.
type refusal struct{ reason string }

func (e *refusal) Error() string { return e.reason }
func (e *refusal) Unwrap() error { return ErrForbidden }

// What an instance is refused with.
var (
	errSignature = &refusal{"the signature is not by the key of this instance"}
	errToken     = &refusal{"that token does not enrol this instance; launch it anew from its console"}
	errOtherKey  = &refusal{"this instance enrolled with another key; what has that key goes on, and this one is refused"}
	errNoProof   = &refusal{"this instance brings no proof of which machine it is, and its user-data asks for one; launch it anew with this popup"}
	errMachine   = &refusal{"that is the proof of another machine than the one that was launched as this instance"}
	errNoKey     = &refusal{"this instance did not enrol; it needs the token that it was launched with, or to be launched anew"}
)

// notKnownFor is when an instance asks again that is not known: the answer to its
// launch may be on its way.
const notKnownFor = 5 * time.Second

func notKnown() error {
	return &BusyError{Reason: "this instance is not known here; it is asked to come again", After: notKnownFor}
}

// signed says whether a request is an instance's that enrolled here, and returns what is
// known of it. It is the one place where that is judged.
func (c *Console) signed(ctx context.Context, s Signature, request wire.Signed) (Instance, error) {
	if wire.CheckInstance(s.Instance) != nil {
		return Instance{}, errSignature
	}
	i, known := c.fleet.instance(s.Instance)
	if !known || len(i.Key) == 0 { // it may have come, or enrolled, a moment ago
		if err := c.fleet.catchUp(ctx); err != nil {
			return Instance{}, err
		}
		i, known = c.fleet.instance(s.Instance)
	}
	request.Instance = s.Instance
	switch {
	case !known:
		return Instance{}, notKnown()
	case len(i.Key) == 0:
		return Instance{}, cmp.Or(c.noteKnock(ctx, i), error(errNoKey))
	case !request.VerifiedBy(i.Key, s.Value):
		return Instance{}, errSignature
	case i.State.Over():
		return Instance{}, ErrOver
	}
	return i, nil
}

// noteKnock writes down, once, that somebody reports as an instance that did not enrol.
func (c *Console) noteKnock(ctx context.Context, i Instance) error {
	if !i.Knocked.IsZero() || i.State.Over() {
		return nil
	}
	err := c.store.Update(ctx, func(tx Tx) error {
		i, err := get[Instance](tx, i.ID)
		if err != nil || len(i.Key) > 0 || !i.Knocked.IsZero() {
			return err
		}
		i.Knocked = c.now()
		return put(tx, i)
	})
	if err != nil {
		return fmt.Errorf("note that somebody reports as %s: %w", i.ID, err)
	}
	c.fleet.refresh(ctx)
	return nil
}

// Enrol answers an instance that brings its key. body is as it was sent. The first key
// that brings the token is the instance's from then on, and is answered the same whenever
// it asks again. Errors: *InputError, ErrForbidden (a wrong or used token, another key),
// *BusyError for an instance that is not known yet, ErrOver.
func (c *Console) Enrol(ctx context.Context, body []byte, s Signature) (wire.Enrolled, error) {
	e, err := parseEnrolment(body)
	if err != nil {
		return wire.Enrolled{}, err
	}
	request := wire.Signed{Method: "POST", Path: wire.PathEnrol, Instance: e.Instance, Body: body}
	if s.Instance != e.Instance || !request.VerifiedBy(e.Key, s.Value) {
		return wire.Enrolled{}, errSignature
	}
	i, d, refused, err := c.enrolKey(ctx, e, s)
	if err != nil {
		return wire.Enrolled{}, err
	}
	if refused != nil {
		return wire.Enrolled{}, refused
	}
	secrets, err := c.openSecrets(d)
	if err != nil {
		return wire.Enrolled{}, fmt.Errorf("enrol %s: %w", e.Instance, err)
	}
	restore, err := c.restoreOf(ctx, d, i)
	if err != nil {
		return wire.Enrolled{}, fmt.Errorf("enrol %s: %w", e.Instance, err)
	}
	return wire.Enrolled{Settings: d.Settings, Secrets: secrets, ReportEvery: int(c.period() / time.Second), Restore: restore}, nil
}

func parseEnrolment(body []byte) (wire.Enrolment, error) {
	var e wire.Enrolment
	var w wrong
	switch {
	case len(body) > wire.MaxEnrolment:
		w.add("body", fmt.Sprintf("it has %d bytes; an enrolment has at most %d", len(body), wire.MaxEnrolment))
	case json.Unmarshal(body, &e) != nil: // what it says may be a token
		w.add("body", "it is not the JSON of an enrolment")
	default:
		w.check("body", e.Check())
	}
	return e, w.err()
}

// enrolKey gives an instance its key, or says in refused why it does not. Both are in
// the audit log when it returns.
func (c *Console) enrolKey(ctx context.Context, e wire.Enrolment, s Signature) (i Instance, d Deployment, refused *refusal, err error) {
	if err := c.fleet.catchUp(ctx); err != nil {
		return i, d, nil, err
	}
	asks, known := c.fleet.instance(e.Instance)
	if !known { // nobody waits for what anybody may send
		return i, d, nil, notKnown()
	}
	is, err := c.prove(ctx, asks, e)
	if err != nil {
		return i, d, nil, err
	}
	complain := c.fleet.complains(e.Instance)
	err = c.store.Update(ctx, func(tx Tx) error {
		refused = nil
		var err error
		i, err = get[Instance](tx, e.Instance)
		if errors.Is(err, ErrNotFound) {
			return notKnown()
		}
		if err != nil {
			return err
		}
		if i.State.Over() {
			return ErrOver
		}
		if d, err = get[Deployment](tx, i.Deployment); err != nil {
			return fmt.Errorf("read the deployment of %s: %w", i.ID, err)
		}
		actor := Actor{Kind: ActorInstance, ID: i.ID}
		switch {
		case len(i.Key) > 0 && subtle.ConstantTimeCompare(i.Key, e.Key) == 1:
			return nil // the answer was lost, or its console.json
		case len(i.Key) > 0:
			refused = errOtherKey
		case !isToken(e.Token, i.TokenHash):
			refused = errToken
		default:
			if refused, err = is.machineOf(i); err != nil {
				return err
			}
		}
		detail := fmt.Sprintf("key %s, from %s", fingerprint(e.Key), cmp.Or(s.From, "an unknown address")) + is.says()
		if refused == nil {
			i.Key, i.Enrolled = bytes.Clone(e.Key), c.now()
			return errors.Join(put(tx, i), c.audit(tx, actor, "enrol", "instance/"+i.ID, detail))
		}
		if !complain {
			return nil
		}
		return c.audit(tx, actor, "refuse enrolment", "instance/"+i.ID, detail+": "+refused.reason)
	})
	return i, d, refused, err
}

// fingerprint is enough of a key to know it again.
func fingerprint(key []byte) string {
	sum := sha256.Sum256(key)
	return hex.EncodeToString(sum[:8])
}

// complainEvery is how often a refused key of one instance is written into the audit
// log: whoever tries keys is to fill nothing.
const complainEvery = time.Minute

// complains says whether it is time to write that a key of an instance was refused, and
// takes it that this is done.
func (f *fleet) complains(id string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[id]
	now := f.c.now()
	if m == nil || now.Sub(m.complained) < complainEvery {
		return false
	}
	m.complained = now
	return true
}

// secretsOf names what is sealed with a deployment, for Keys.
func secretsOf(deployment string) string { return "secrets of deployment " + deployment }

// sealSecrets makes a Deployment's Secrets of those settings that are not to be shown.
func (c *Console) sealSecrets(deployment string, secrets map[string]string) ([]byte, error) {
	if len(secrets) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(secrets)
	if err != nil {
		return nil, fmt.Errorf("seal the %s: %w", secretsOf(deployment), err)
	}
	return c.opts.Keys.Seal(text, secretsOf(deployment)), nil
}

func (c *Console) openSecrets(d Deployment) (secrets map[string]string, err error) {
	if len(d.Secrets) == 0 {
		return nil, nil
	}
	text, err := c.opts.Keys.Open(d.Secrets, secretsOf(d.ID))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &secrets); err != nil {
		return nil, fmt.Errorf("read the %s: they are not what was sealed", secretsOf(d.ID)) // err may hold one
	}
	return secrets, nil
}
