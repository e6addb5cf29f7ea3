//go:build dqlite

package dqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/console"
	"popup/store/storetest"
)

func TestMain(m *testing.M) {
	storetest.Child(reopen)
	beNode()
	os.Exit(m.Run())
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// says fails where an error does not say all the words.
func says(t testing.TB, err error, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want one that says %q", words)
	}
	for _, word := range words {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %q, want it to say %q", err, word)
		}
	}
}

var given atomic.Int64

// freeAddress is one of this machine that nobody else takes: the host tells processes apart,
// and those of one process.
func freeAddress() string {
	const hosts = 254
	n, pid := int(given.Add(1))-1, os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:%d", 1+pid/hosts%hosts, 1+pid%hosts, 1+n%hosts, 9000+n/hosts)
}

func authority(t testing.TB) Authority {
	t.Helper()
	a, err := NewAuthority()
	check(t, err)
	return a
}

func issued(t testing.TB, a Authority, address string) Identity {
	t.Helper()
	i, err := a.Issue(address)
	check(t, err)
	return i
}

// waiting bounds what needs a leader, however loaded the machine is.
func waiting(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func options(t testing.TB, a Authority, join ...string) Options {
	address := freeAddress()
	return Options{Dir: t.TempDir(), Address: address, Join: join, Identity: issued(t, a, address),
		Latency: 100 * time.Millisecond, // nothing here is about a leader that is slow to answer
		Log:     slog.New(slog.NewTextHandler(t.Output(), nil))}
}

// started is a node that ends with the test.
func started(t testing.TB, o Options) *node {
	t.Helper()
	o.Listen = o.Address
	n, err := start(waiting(t), o)
	check(t, err)
	t.Cleanup(func() { check(t, n.Close()) })
	return n
}

// three are nodes of one cluster, all of them voters; the first one leads.
func three(t testing.TB) []*node {
	t.Helper()
	a := authority(t)
	first := started(t, options(t, a))
	nodes := []*node{first, started(t, options(t, a, first.link.address)), started(t, options(t, a, first.link.address))}
	voting(t, first)
	return nodes
}

// voting waits until three nodes vote.
func voting(t testing.TB, n *node) {
	t.Helper()
	ctx := waiting(t)
	for {
		members, err := n.members(ctx)
		check(t, err)
		voters := 0
		for _, m := range members {
			if m.Role == console.Voter && m.Answers {
				voters++
			}
		}
		if voters == 3 {
			return
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("the members are %+v, want three voters", members)
		}
	}
}

var databases atomic.Int64

// contract asks the suite of a node, each part in a database of its own.
func contract(t *testing.T, n *node) {
	storetest.Run(t, func(t *testing.T) console.Store {
		s, err := n.store(waiting(t), fmt.Sprintf("test-%d.db", databases.Add(1)), nil)
		check(t, err)
		return s
	})
}

func TestContract(t *testing.T) {
	t.Parallel()
	contract(t, started(t, options(t, authority(t))))
}

func TestContractOnThree(t *testing.T) {
	t.Parallel()
	nodes := three(t)
	if !nodes[0].leads(t.Context()) || nodes[2].leads(t.Context()) {
		t.Fatal("the first one does not lead")
	}
	t.Run("leader", func(t *testing.T) { t.Parallel(); contract(t, nodes[0]) })
	t.Run("follower", func(t *testing.T) { t.Parallel(); contract(t, nodes[2]) })
}

// reopen opens the only node of a folder, at the address that it was made with.
func reopen(ctx context.Context, dir string) (console.Store, error) {
	file := filepath.Join(dir, "address")
	address, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		address = []byte(freeAddress())
		if err := os.WriteFile(file, address, 0o600); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, err
	}
	o := Options{Dir: filepath.Join(dir, "cluster"), Address: string(address)}
	if o.Identity, err = ownIdentity(o.Dir, o.Address); err != nil {
		return nil, err
	}
	c, err := Open(ctx, o) // unlike Grow, it writes nothing that the suite does not know of
	if err != nil {
		return nil, err
	}
	return c, nil
}

// TestKill: what was acknowledged is there, though the only node was killed.
func TestKill(t *testing.T) {
	t.Parallel()
	storetest.RunDurable(t, reopen)
}
