package console

import (
	"cmp"
	"context"
	"slices"
)

// A Notice tells a follower that something changed.
type Notice struct {
	Seq   int64 // the store's change sequence: what to continue after
	Kind  Kind
	ID    string
	Event string // its id
	Gone  bool
}

// toldKinds are what followers are told of.
var toldKinds = []Kind{KindEvent, KindDeployment, KindInstance, KindOperation}

// A topic is what the followers of one event have in common, so that a thousand of them
// cost one reading of the store.
type topic struct {
	followers int
	from      int64         // all notices after this change are in recent
	recent    []Notice      // oldest first
	changed   chan struct{} // closed when there are more
}

// mostRecent bounds the notices that a topic holds; whoever is behind that reads the store.
const mostRecent = 1024

// Follow calls fn for each change after seq that the actor sees, and as they come, until
// ctx ends or fn returns an error, which it returns. event narrows it; empty: all.
// ErrForgotten: some are no longer kept; reload and begin with Newest. When fn is called,
// this console's answers know of the change already. Whether the actor may still ask at
// all, the caller looks after.
func (c *Console) Follow(ctx context.Context, a Actor, event string, seq int64, fn func(Notice) error) error {
	f := c.fleet
	if err := f.maySee(ctx, a, event); err != nil {
		return err
	}
	t := f.join(event)
	defer f.leave(event, t)
	for {
		notices, upTo, changed := f.after(t, seq)
		if changed == nil {
			var err error
			if notices, upTo, err = f.replay(ctx, event, seq); err != nil {
				return err
			}
		}
		for _, n := range notices {
			if f.sees(a, n.Event) != nil {
				continue
			}
			if err := fn(n); err != nil {
				return err
			}
		}
		if seq = upTo; changed == nil {
			continue
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Newest is the sequence number of the newest change that this console's answers know of.
func (c *Console) Newest(ctx context.Context) (int64, error) {
	if err := c.fleet.catchUp(ctx); err != nil {
		return 0, err
	}
	c.fleet.mu.RLock()
	defer c.fleet.mu.RUnlock()
	return c.fleet.seq, nil
}

// maySee says whether an actor sees an event that there is; an empty one is whatever
// they see.
func (f *fleet) maySee(ctx context.Context, a Actor, event string) error {
	if err := authorise(a, See, target{}); err != nil || event == "" {
		return err
	}
	if !f.knows(event) { // it may have been made a moment ago
		if err := f.catchUp(ctx); err != nil {
			return err
		}
	}
	if !f.knows(event) {
		return ErrNotFound
	}
	return f.sees(a, event)
}

func (f *fleet) knows(event string) bool {
	f.mu.RLock()
	defer f.mu.RUnlock()
	_, known := f.events[event]
	return known
}

// sees says whether an actor is told of an event's changes. What was removed is told to
// those who see everything.
func (f *fleet) sees(a Actor, event string) error {
	f.mu.RLock()
	defer f.mu.RUnlock()
	e, known := f.events[event]
	if !known {
		e.ID = event
	}
	return authorise(a, See, e.target())
}

func (f *fleet) join(event string) *topic {
	f.mu.Lock()
	defer f.mu.Unlock()
	t := f.topics[event]
	if t == nil {
		t = &topic{from: f.seq, changed: make(chan struct{})}
		f.topics[event] = t
	}
	t.followers++
	return t
}

func (f *fleet) leave(event string, t *topic) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if t.followers--; t.followers == 0 && f.topics[event] == t {
		delete(f.topics, event)
	}
}

// after returns a topic's notices after a change, up to which change these are all, and
// what is closed when there are more. Without the last the topic does not reach back
// that far.
func (f *fleet) after(t *topic, seq int64) (notices []Notice, upTo int64, changed <-chan struct{}) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	if seq < t.from || seq > f.seq {
		return nil, seq, nil
	}
	first, _ := slices.BinarySearchFunc(t.recent, seq+1, func(n Notice, seq int64) int { return cmp.Compare(n.Seq, seq) })
	return slices.Clone(t.recent[first:]), f.seq, t.changed
}

// replay reads the notices after a change from the store, as far as this fleet is and as
// many as the store lists at once.
func (f *fleet) replay(ctx context.Context, event string, seq int64) (notices []Notice, upTo int64, err error) {
	if err := f.catchUp(ctx); err != nil {
		return nil, seq, err
	}
	f.mu.RLock()
	most := f.seq
	f.mu.RUnlock()
	var changes []Change
	err = f.c.store.View(ctx, func(tx Tx) (err error) {
		changes, err = tx.Changes(seq, mostListed)
		return err
	})
	if err != nil {
		return nil, seq, err
	}
	if upTo = seq; len(changes) < mostListed {
		upTo = max(most, seq)
	}
	for _, c := range changes {
		if c.Seq > most {
			break
		}
		upTo = max(upTo, c.Seq)
		if n, told := noticeOf(c); told && (event == "" || n.Event == event) {
			notices = append(notices, n)
		}
	}
	return notices, upTo, nil
}

func noticeOf(c Change) (n Notice, told bool) {
	n = Notice{Seq: c.Seq, Kind: c.Kind, ID: c.ID, Event: c.Topic, Gone: c.Removed}
	return n, c.Topic != "" && slices.Contains(toldKinds, c.Kind)
}

// publish tells followers of changes that were applied. f.mu is held.
func (f *fleet) publish(changes []Change) {
	told := map[*topic]bool{}
	for _, c := range changes {
		n, is := noticeOf(c)
		if !is {
			continue
		}
		for _, name := range []string{"", n.Event} {
			if t := f.topics[name]; t != nil {
				t.add(n)
				told[t] = true
			}
		}
	}
	for t := range told {
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

// begin has every follower look again: what changed is not known one by one. f.mu is held.
func (f *fleet) begin() {
	for _, t := range f.topics {
		t.from, t.recent = f.seq, nil
		close(t.changed)
		t.changed = make(chan struct{})
	}
}

func (t *topic) add(n Notice) {
	if len(t.recent) == mostRecent {
		t.from = t.recent[mostRecent/2-1].Seq
		t.recent = slices.Clone(t.recent[mostRecent/2:])
	}
	t.recent = append(t.recent, n)
}
