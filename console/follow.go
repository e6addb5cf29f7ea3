package console

import "context"

// A Notice tells a follower that something changed.
type Notice struct {
	Seq   int64 // the store's change sequence: what to continue after
	Kind  Kind
	ID    string
	Event string // its id
	Gone  bool
}

type topic struct{}

func (f *fleet) begin()                   {}
func (f *fleet) publish(changes []Change) {}

// Follow calls fn for each change after seq that the actor sees, and as they come, until
// ctx ends or fn returns an error, which it returns. event narrows it; empty: all.
// ErrForgotten: some are no longer kept; reload and begin with Newest.
func (c *Console) Follow(ctx context.Context, a Actor, event string, seq int64, fn func(Notice) error) error {
	return errNotYet
}

// Newest is the sequence number of the newest change.
func (c *Console) Newest(ctx context.Context) (int64, error) { return 0, errNotYet }
