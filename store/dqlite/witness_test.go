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
	n, others := oneAndTwo(t)
	s := on(t, n)[0]
	check(t, write(waiting(t), s, "before"))
	n.knowsWitnesses(t)
	signal := func(to syscall.Signal) {
		for _, p := range others {
			check(t, p.cmd.Process.Signal(to))
		}
	}
	signal(syscall.SIGSTOP)
	soon, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // it still takes itself for the leader
	defer cancel()
	if has(soon, s, "before") {
		t.Error("a node that nobody follows answers")
	}
	if err := s.Update(soon, func(console.Tx) error { return nil }); err == nil {
		t.Error("a node that nobody follows says that nothing is to be written")
	}
	signal(syscall.SIGCONT)
	if !has(waiting(t), s, "before") {
		t.Error("it does not answer when others follow")
	}
}
