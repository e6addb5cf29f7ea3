package console

import (
	"net/netip"
	"sync"
	"time"
)

// Tries to sign in: five at once, and then one in twelve seconds.
const (
	triesAtOnce = 5
	triesEvery  = 12 * time.Second
	triesMost   = 10_000 // buckets that are kept, of a kind
)

// tries limits how often somebody may try to sign in: for each name, and for each
// address. A try that succeeded does not count, so that a school behind one address
// gets in. Whoever signed in from somewhere before is counted on their own there, so
// that others who try their name cannot lock them out.
type tries struct {
	mu        sync.Mutex
	names     buckets
	addresses buckets
	known     buckets // of a name at an address it signed in from
}

func newTries() *tries { return &tries{names: buckets{}, addresses: buckets{}, known: buckets{}} }

// A try is one that was let through.
type try struct {
	of            *tries
	name, address string
}

// begin counts a try by a name from an address, as network says it. The error is a
// *BusyError where there were too many.
func (t *tries) begin(name, address string, now time.Time) (try, error) {
	one := try{t, name, address}
	t.mu.Lock()
	defer t.mu.Unlock()
	names, key := one.bucket()
	if wait := max(names.wait(key, now), t.addresses.wait(one.address, now)); wait > 0 {
		return one, &BusyError{"too many tries to sign in; wait a little, and try again", wait}
	}
	names.take(key, now)
	t.addresses.take(one.address, now)
	return one, nil
}

// bucket is the one that counts for the name. The lock is held.
func (y try) bucket() (b buckets, key string) {
	if _, ok := y.of.known[y.pair()]; ok {
		return y.of.known, y.pair()
	}
	return y.of.names, y.name
}

func (y try) pair() string { return y.name + "\x00" + y.address }

// succeeded gives the try back, and remembers from where.
func (y try) succeeded(now time.Time) {
	y.of.mu.Lock()
	defer y.of.mu.Unlock()
	names, key := y.bucket()
	names.give(key)
	y.of.addresses.give(y.address)
	if key != y.pair() {
		y.of.known.room(now)
		y.of.known[y.pair()] = now.Add(-triesAtOnce * triesEvery)
	}
}

// network is what an address is counted as: whoever has one of IPv6 has its whole /64.
func network(from string) string {
	addr, err := netip.ParseAddr(from)
	if err != nil {
		port, perr := netip.ParseAddrPort(from)
		if perr != nil {
			return "" // they share one
		}
		addr = port.Addr()
	}
	addr = addr.Unmap()
	if addr.Is6() {
		return netip.PrefixFrom(addr, 64).Masked().String()
	}
	return addr.String()
}

// buckets hold, for each key, the moment from which on a try was not used: that many
// triesEvery ago it was, so many tries are left.
type buckets map[string]time.Time

// wait is how long it takes until there is a try.
func (b buckets) wait(key string, now time.Time) time.Duration {
	return max(0, triesEvery-now.Sub(b[key]))
}

func (b buckets) take(key string, now time.Time) {
	if _, ok := b[key]; !ok {
		b.room(now)
	}
	b[key] = later(b[key], now.Add(-triesAtOnce*triesEvery)).Add(triesEvery)
}

// give gives one back. What was made room for meanwhile has all of them.
func (b buckets) give(key string) {
	if since, ok := b[key]; ok {
		b[key] = since.Add(-triesEvery)
	}
}

// room makes room for one more: what is full says nothing, and of others the fullest
// goes, so that nobody gets tries back by trying many names.
func (b buckets) room(now time.Time) {
	if len(b) < triesMost {
		return
	}
	var fullest string
	for key, since := range b {
		if now.Sub(since) >= triesAtOnce*triesEvery {
			delete(b, key)
		} else if fullest == "" || since.Before(b[fullest]) {
			fullest = key
		}
	}
	if len(b) >= triesMost {
		delete(b, fullest)
	}
}
