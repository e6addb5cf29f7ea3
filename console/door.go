package console

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// A door is what this process knows of those who come in.
type door struct {
	passwords *passwords
	tries     *tries
	claimed   atomic.Bool // once it was, it stays so

	mu     sync.Mutex
	actors map[string]admitted  // by how they came, and the hash of their secret
	used   map[string]time.Time // when an API token was used last, by its id
}

func newDoor() *door {
	return &door{passwords: newPasswords(), tries: newTries(), actors: map[string]admitted{}, used: map[string]time.Time{}}
}

const (
	admittedMost = 10_000
	admittedFor  = 5 * time.Second // another console may have ended it, and not be heard of yet
)

// An admitted actor was read from the store. That is not done again while nothing is
// written there: so what is taken from somebody is gone at once.
type admitted struct {
	actor   Actor
	until   time.Time       // look again then
	changed <-chan struct{} // or when this is closed
}

// A way is how somebody comes in. What opens one does not open another.
type way string

const (
	byCookie way = "cookie"
	byToken  way = "token"
	byLink   way = "link"
)

// admit is who has a secret, as read says, which is asked when that is not known. until
// is when they are not let in any more.
func (c *Console) admit(ctx context.Context, by way, hash []byte, read func(tx Tx) (a Actor, until time.Time, err error)) (Actor, error) {
	d, name, now := c.door, string(by)+hashName(hash), c.now()
	d.mu.Lock()
	known, ok := d.actors[name]
	d.mu.Unlock()
	if ok && now.Before(known.until) && !closed(known.changed) {
		return known.actor, nil
	}
	known = admitted{changed: c.store.Changed()} // before it is read
	var until time.Time
	err := c.store.View(ctx, func(tx Tx) (err error) {
		known.actor, until, err = read(tx)
		return err
	})
	if err != nil {
		return Actor{}, err
	}
	known.until = earliest(until, now.Add(admittedFor))
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.actors) >= admittedMost {
		clear(d.actors)
	}
	d.actors[name] = known
	return known.actor, nil
}

// note keeps when a token was used, in this process alone.
func (d *door) note(token string, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used[token] = now
}

// lastUsed is when tokens were used, as far as this process knows.
func (d *door) lastUsed() map[string]time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return maps.Clone(d.used)
}

func closed(ch <-chan struct{}) bool {
	select {
	case <-ch:
		return true
	default:
		return false
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
