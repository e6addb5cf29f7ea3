//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/canonical/go-dqlite/v3/driver"

	"popup/console"
)

// knowsWitnesses waits until a node of three has looked who votes.
func (n *node) knowsWitnesses(t *testing.T) {
	t.Helper()
	for ctx := waiting(t); len(n.witnesses.besides("none", n.link.address)) < 3; {
		select {
		case <-time.After(lookPeriod / 2):
		case <-ctx.Done():
			t.Fatal("it never sees who votes")
		}
	}
}

func TestOthersSayWhoLeads(t *testing.T) {
	t.Parallel()
	nodes := three(t)
	for i, n := range nodes {
		n.knowsWitnesses(t)
		check(t, n.confirm(waiting(t), nodes[0].link.address))
		if err := n.confirm(waiting(t), nodes[1].link.address); !errors.Is(err, driver.ErrNoAvailableLeader) {
			t.Errorf("node %d takes one that follows for one that leads: %v", i, err)
		}
	}
}

// TestWhoLeadsNobodySaysNothing: others may have written by then what it does not know.
func TestWhoLeadsNobodySaysNothing(t *testing.T) {
	t.Parallel()
	for name, answers := range map[string]func(context.Context, console.Store) bool{
		"reads": func(ctx context.Context, s console.Store) bool { return has(ctx, s, "before") },
		"writes": func(ctx context.Context, s console.Store) bool {
			return s.Update(ctx, func(console.Tx) error { return nil }) == nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			n, others := oneAndTwo(t)
			s := on(t, n)[0]
			check(t, write(waiting(t), s, "before"))
			n.knowsWitnesses(t)
			for _, p := range others {
				p.stall(t)
			}
			soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // it still takes itself for the leader
			defer cancel()
			if answers(soon, s) {
				t.Error("a node that nobody follows answers")
			}
			for _, p := range others {
				check(t, p.cmd.Process.Signal(syscall.SIGCONT))
			}
			if !answers(waiting(t), s) {
				t.Error("it does not answer when others follow")
			}
		})
	}
}

// TestWhoIsAvoided: a witness that says nothing, and not one that was not waited for.
func TestWhoIsAvoided(t *testing.T) {
	t.Parallel()
	n, others := oneAndTwo(t)
	n.knowsWitnesses(t)
	own := n.link.address
	failed := func(address string) bool {
		n.witnesses.mu.Lock()
		defer n.witnesses.mu.Unlock()
		return !n.witnesses.failed[address].IsZero()
	}
	first := n.witnesses.besides(own, own)[0]
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if n.follows(over, first, own) || failed(first) {
		t.Error("one that was not waited for is avoided")
	}
	for _, p := range others {
		if p.o.Address == first {
			p.stall(t)
		}
	}
	check(t, n.confirm(waiting(t), own))
	for ctx := waiting(t); !failed(first); {
		select {
		case <-time.After(time.Millisecond):
		case <-ctx.Done():
			t.Fatal("one that says nothing is asked again and again")
		}
	}
}
