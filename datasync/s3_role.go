package datasync

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"popup/internal/git"
	"popup/internal/metadata"
)

// When the keys of a role are asked for: a cloud has new ones some minutes before the
// old ones end. Where there were none, there may be some soon.
const (
	renewBefore = 5 * time.Minute
	renewAgain  = 30 * time.Second
	renewNone   = time.Minute
)

// A machineRole signs in as the machine may, for as long as that has a role, and else
// as nobody. Its methods may be called from several goroutines.
type machineRole struct {
	ask func(context.Context) (metadata.Keys, error)

	mu    sync.Mutex // guards what follows
	keys  aws.Credentials
	renew time.Time
}

// newMachineRole is nil where there is no metadata service.
func newMachineRole() (*machineRole, error) {
	if !metadata.Here() {
		return nil, nil
	}
	client, err := metadata.New()
	if err != nil {
		return nil, err
	}
	return &machineRole{ask: client.Keys}, nil
}

// known says whether there is a role, as far as was asked.
func (r *machineRole) known() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.keys.HasKeys()
}

// Retrieve returns no keys, and no error, where there is no role.
func (r *machineRole) Retrieve(ctx context.Context) (aws.Credentials, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	if now.Before(r.renew) {
		return r.keys, nil
	}
	fresh, err := r.ask(ctx)
	switch {
	case err == nil:
		r.keys = aws.Credentials{AccessKeyID: fresh.Access, SecretAccessKey: fresh.Secret, SessionToken: fresh.Session,
			CanExpire: true, Expires: fresh.Expires}
		r.renew = later(fresh.Expires.Add(-renewBefore), now.Add(renewAgain))
	case r.keys.HasKeys() && now.Before(r.keys.Expires):
		r.renew = now.Add(renewAgain)
	case errors.Is(err, metadata.ErrNone) || errors.Is(err, metadata.ErrAway):
		r.keys, r.renew = aws.Credentials{}, now.Add(renewNone)
	default:
		return aws.Credentials{}, &git.Error{Class: git.Credentials, Err: err, Retry: true,
			Why: "the machine's role gives no keys: " + err.Error(), Hint: "check its role, or name a credentials file"}
	}
	return r.keys, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
