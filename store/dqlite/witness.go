//go:build dqlite

package dqlite

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/canonical/go-dqlite/v3/client"
	"github.com/canonical/go-dqlite/v3/driver"
)

// A leader that was cut off takes a moment to see that it leads nobody any more, and until
// then it answers by what was true before. So a transaction begins by asking enough of the
// others whether they follow its leader still: if they do, no other one has acknowledged
// anything by then.

const (
	// hedgeTime is how long one witness is waited for before another one is asked as well.
	hedgeTime = 50 * time.Millisecond
	// avoidTime is how long one that failed is only asked after the others.
	avoidTime = 5 * time.Second
)

// Witnesses are the nodes that say whom they follow.
type witnesses struct {
	mu     sync.Mutex
	nodes  []client.NodeInfo    // all there are
	idle   map[string][]*asker  // by address
	failed map[string]time.Time // by address, since when
}

func (w *witnesses) learn(nodes []client.NodeInfo) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.nodes = nodes
}

// besides are the voters other than the leader, in the order in which they are best asked:
// this node costs nothing.
func (w *witnesses) besides(leader, own string) (voters []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, n := range w.nodes {
		if n.Role == client.Voter && n.Address != leader {
			voters = append(voters, n.Address)
		}
	}
	rank := func(address string) int {
		switch {
		case time.Since(w.failed[address]) < avoidTime:
			return 2
		case address != own:
			return 1
		}
		return 0
	}
	slices.SortStableFunc(voters, func(a, b string) int { return cmp.Compare(rank(a), rank(b)) })
	return voters
}

// confirm says whether a node leads, now.
func (n *node) confirm(ctx context.Context, leader string) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	left := n.witnesses.besides(leader, n.link.address)
	needed := (len(left) + 1) / 2
	answers := make(chan bool, len(left))
	asked := 0
	ask := func() {
		if len(left) == 0 {
			return
		}
		address := left[0]
		left = left[1:]
		asked++
		n.all.Go(func() { answers <- n.follows(ctx, address, leader) })
	}
	for range needed {
		ask()
	}
	hedge := time.NewTicker(hedgeTime)
	defer hedge.Stop()
	for needed > 0 {
		if asked == 0 {
			return fmt.Errorf("%s leads nobody any more: %w", leader, driver.ErrNoAvailableLeader)
		}
		select {
		case yes := <-answers:
			if asked--; yes {
				needed--
			} else {
				ask()
			}
		case <-hedge.C:
			ask()
		}
	}
	return nil
}

// follows asks a node whether it follows another. One that was not waited for did not fail.
func (n *node) follows(ctx context.Context, address, leader string) bool {
	w := &n.witnesses
	w.mu.Lock()
	a := &asker{node: n, address: address}
	if idle := w.idle[address]; len(idle) > 0 {
		a, w.idle[address] = idle[len(idle)-1], idle[:len(idle)-1]
	}
	w.mu.Unlock()
	began := time.Now()
	says, err := a.ask(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) || time.Since(began) >= hedgeTime {
			w.failed[address] = time.Now()
			w.hangUp(address)
		}
		return false
	}
	delete(w.failed, address)
	w.idle[address] = append(w.idle[address], a)
	return says == leader
}

// hangUp ends the connections to a node that wait for a question.
func (w *witnesses) hangUp(address string) {
	for _, a := range w.idle[address] {
		a.close()
	}
	delete(w.idle, address)
}

// close ends all of them.
func (w *witnesses) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for address := range w.idle {
		w.hangUp(address)
	}
}
