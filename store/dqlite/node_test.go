//go:build dqlite

package dqlite

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"popup/console"
)

// on opens the same database by way of each node.
func on(t *testing.T, nodes ...*node) (all []console.Store) {
	t.Helper()
	name := fmt.Sprintf("test-%d.db", databases.Add(1))
	for _, n := range nodes {
		s, err := n.store(waiting(t), name, nil)
		check(t, err)
		t.Cleanup(func() { check(t, s.Close()) })
		all = append(all, s)
	}
	return all
}

func write(ctx context.Context, s console.Store, id string) error {
	return s.Update(ctx, func(tx console.Tx) error { return tx.Put(console.Record{Kind: "thing", ID: id}) })
}

func has(ctx context.Context, s console.Store, id string) bool {
	return s.View(ctx, func(tx console.Tx) error { _, err := tx.Get("thing", id); return err }) == nil
}

func TestThreeAreOne(t *testing.T) {
	t.Parallel()
	nodes := three(t)
	stores := on(t, nodes...)
	for i, writer := range stores {
		id := fmt.Sprint(i)
		var changed []<-chan struct{}
		for _, s := range stores {
			changed = append(changed, s.Changed())
		}
		check(t, write(t.Context(), writer, id))
		for k, s := range stores {
			start := time.Now()
			select {
			case <-changed[k]:
			case <-waiting(t).Done():
				t.Fatalf("what node %d wrote is not heard of at node %d", i, k)
			}
			t.Logf("node %d hears of what node %d wrote after %v", k, i, time.Since(start))
			if !has(t.Context(), s, id) {
				t.Errorf("what node %d wrote is not there at node %d", i, k)
			}
		}
	}
	for i, n := range nodes {
		members, err := n.members(t.Context())
		check(t, err)
		leads := 0
		for _, m := range members {
			if m.Leads {
				leads++
			}
			if m.Role != console.Voter || !m.Answers || m.Follows != nodes[0].link.address || m.Leads != (m.Address == m.Follows) {
				t.Errorf("node %d sees the member %+v", i, m)
			}
		}
		if len(members) != 3 || leads != 1 {
			t.Errorf("node %d sees %d members, of which %d lead", i, len(members), leads)
		}
	}
}

// TestALeaderHandsOver: closing one is no failure for those that stay.
func TestALeaderHandsOver(t *testing.T) {
	t.Parallel()
	a := authority(t)
	first, err := Open(waiting(t), options(t, a))
	check(t, err)
	members, err := first.Members(t.Context())
	check(t, err)
	second := started(t, options(t, a, members[0].Address))
	third := started(t, options(t, a, members[0].Address))
	voting(t, second)
	s := on(t, third)[0]
	check(t, write(t.Context(), s, "before"))
	check(t, first.Close())
	for _, n := range []*node{second, third} {
		if leader, err := n.leaderOf(t.Context(), n.link.address); err != nil || leader == "" || leader == members[0].Address {
			t.Errorf("when the first is closed, %q leads, %v", leader, err)
		}
	}
	start := time.Now()
	check(t, write(t.Context(), s, "after"))
	t.Logf("the first write after it took %v", time.Since(start))
	members, err = second.members(t.Context())
	check(t, err)
	for _, m := range members {
		if gone := m.ID != second.app.ID() && m.ID != third.app.ID(); gone != !m.Answers {
			t.Errorf("without the first there is %+v", m)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	a := authority(t)
	o := options(t, a)
	n := started(t, o)
	s := on(t, n)[0]
	check(t, write(t.Context(), s, "before"))
	soon := func() context.Context {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		t.Cleanup(cancel)
		return ctx
	}
	quiet := func(o Options) Options { o.Log = slog.New(slog.DiscardHandler); return o }
	_, err := Open(soon(), quiet(options(t, authority(t), o.Address)))
	says(t, err, "no leader let this node in", "certificate is of their cluster")
	without := quiet(options(t, a, o.Address))
	without.Identity = Identity{}
	_, err = Open(soon(), without)
	says(t, err, "read this node's certificate")
	_, err = Open(soon(), quiet(options(t, a, freeAddress())))
	says(t, err, "no leader let this node in")
	_, err = Open(soon(), quiet(options(t, a, "nosuch.invalid:1")))
	says(t, err, "no leader let this node in")
	twice := o
	_, err = Open(soon(), twice)
	says(t, err, "listen on "+o.Address)
	twice.Address = freeAddress()
	_, err = Open(soon(), twice)
	says(t, err, o.Dir, "does not match")
	bad := options(t, a)
	for _, address := range []string{"", "host", ":9000", "1.2.3.4:0"} {
		bad.Address = address
		_, err = Open(soon(), bad)
		says(t, err, "no address of a node", "HOST:PORT")
	}
	for _, address := range []string{"0.0.0.0:9000", "[::]:9000", "[::ffff:0.0.0.0]:9000"} {
		bad.Address = address
		_, err = Open(soon(), bad)
		says(t, err, "no address of a node", "leads each of the others to itself")
	}
	bad.Dir, bad.Address = "", ""
	_, err = Open(soon(), bad)
	says(t, err, "in which folder", "no address of a node")
	bad = options(t, a)
	bad.Dir = filepath.Join(o.Dir, "info.yaml", "x")
	_, err = Open(soon(), bad)
	says(t, err, "not a directory")

	check(t, write(t.Context(), s, "after")) // the one that runs is not disturbed
	if members, err := n.members(t.Context()); err != nil || len(members) != 1 {
		t.Errorf("the members are %+v, %v", members, err)
	}
}
