package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A follower is somebody who follows, until told to stop.
type follower struct {
	notices chan Notice
	stop    context.CancelFunc
	err     chan error
}

func (c *testConsole) follow(t testing.TB, a Actor, event string, seq int64) *follower {
	ctx, stop := context.WithCancel(t.Context())
	w := &follower{make(chan Notice, 10_000), stop, make(chan error, 1)}
	done := make(chan struct{})
	t.Cleanup(func() { stop(); <-done })
	go func() {
		defer close(done)
		w.err <- c.Follow(ctx, a, event, seq, func(n Notice) error { w.notices <- n; return nil })
	}()
	return w
}

// next waits for a notice.
func (w *follower) next(t testing.TB) Notice {
	t.Helper()
	select {
	case n := <-w.notices:
		return n
	case err := <-w.err:
		t.Fatalf("following ended: %v", err)
	case <-time.After(30 * time.Second):
		t.Fatal("nothing came")
	}
	return Notice{}
}

// following has the fleet follow its store until the test ends.
func (c *testConsole) following(t testing.TB) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.fleet.run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func TestFollow(t *testing.T) {
	c := newConsole(t, withKeys(t))
	c.following(t)
	fair, machines := party(t, c, "fair", "otto", 1)
	start, err := c.Newest(t.Context())
	if err != nil || start != c.newest(t) {
		t.Fatalf("newest %d, %v", start, err)
	}
	party(t, c, "ball", "oda", 1)
	m := machines[0].live(t)
	c.write(t, func(tx Tx) error { return put(tx, heardRow{Console: "another"}) }) // is nobody's business
	before := c.newest(t)
	helper := Actor{Kind: ActorLink, ID: "l", Role: RoleHelper, Event: fair.ID}
	const others = "event/id-ball deployment/dep-ball instance/ball-abc-1 "
	// It enrols, it is live and its event is looked at, it says why.
	const own = "instance/fair-abc-1 event/id-fair instance/fair-abc-1 instance/fair-abc-1"
	for _, w := range []struct {
		name  string
		a     Actor
		event string
		seq   int64
		want  string
	}{
		{"a viewer", aViewer, "", start, others + own},
		{"a viewer of one", aViewer, fair.ID, start, own},
		{"its organiser", anOrganiser, "", start, own},
		{"its organiser, from the beginning", anOrganiser, "", 0, "event/id-fair deployment/dep-fair instance/fair-abc-1 " + own},
		{"a helper", helper, "", start, own},
		{"a late one", aViewer, fair.ID, before, "instance/fair-abc-1"},
	} {
		f := c.follow(t, w.a, w.event, w.seq)
		if w.name == "a viewer" { // the others find it in the store
			m.report.Why = "something else"
			m.mustSay(t)
		}
		var told []string
		for last := int64(0); last != c.newest(t); {
			n := f.next(t)
			if n.Seq <= last || n.Event == "" {
				t.Errorf("%s is told of %+v after %d", w.name, n, last)
			}
			last = n.Seq
			told = append(told, string(n.Kind)+"/"+n.ID)
			if v, err := c.Instance(t.Context(), aViewer, m.id); n.ID == m.id && (err != nil || v.State != InstanceLive) {
				t.Errorf("%s is told of what is not known yet", w.name)
			}
		}
		if got := strings.Join(told, " "); got != w.want {
			t.Errorf("%s is told of\n%s; want\n%s", w.name, got, w.want)
		}
	}
}

// TestFollowEnds: with its context, with what its function returns, and where it cannot go on.
func TestFollowEnds(t *testing.T) {
	c := newConsole(t, withKeys(t))
	fair, _ := party(t, c, "fair", "otto", 1)
	halt := errors.New("halt")
	if err := c.Follow(t.Context(), aViewer, fair.ID, 0, func(Notice) error { return halt }); !errors.Is(err, halt) {
		t.Errorf("%v", err)
	}
	nothing := func(Notice) error { return nil }
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Follow(ctx, aViewer, fair.ID, c.newest(t), nothing); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := c.Follow(t.Context(), aViewer, fair.ID, c.newest(t)+1, nothing); !errors.Is(err, ErrForgotten) {
		t.Errorf("after a change that never was: %v", err)
	}
	other := Actor{Kind: ActorPerson, ID: "oda", Role: RoleOrganiser}
	for name, try := range map[string]struct {
		a     Actor
		event string
		want  error
	}{"nobody": {aStranger, "", ErrSignIn}, "nobody, an event": {aStranger, fair.ID, ErrSignIn}, "another": {other, fair.ID, ErrNotFound}, "another, none": {other, "none", ErrNotFound}, "a viewer, none": {aViewer, "none", ErrNotFound}} {
		if err := c.Follow(t.Context(), try.a, try.event, 0, nothing); !errors.Is(err, try.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.write(t, func(tx Tx) error { _, err := tx.Forget(time.Now().Add(time.Hour)); return err })
	if err := c.Follow(t.Context(), aViewer, fair.ID, 1, nothing); !errors.Is(err, ErrForgotten) {
		t.Errorf("after what was forgotten: %v", err)
	}
}

// TestFollowersMissNothing: a thousand who follow, some behind what is in memory, are each
// told of every change once, in order.
func TestFollowersMissNothing(t *testing.T) {
	c := newConsole(t, withKeys(t))
	c.following(t)
	fair, _ := party(t, c, "fair", "otto", 0)
	start, err := c.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const changes, followers = 3 * mostRecent, 40
	gate := make(chan struct{})
	var all sync.WaitGroup
	stop := errors.New("that was all")
	for n := range followers {
		all.Go(func() {
			seen := 0
			err := c.Follow(t.Context(), aViewer, []string{"", fair.ID}[n%2], start, func(notice Notice) error {
				if want := fmt.Sprintf("i%05d", seen); notice.ID != want {
					return fmt.Errorf("after %d changes it is told of %s", seen, notice.ID)
				}
				if seen++; seen == 10 && n%4 < 2 {
					<-gate // falls behind
				}
				if seen == changes {
					return stop
				}
				return nil
			})
			if !errors.Is(err, stop) {
				t.Errorf("follower %d: %v", n, err)
			}
		})
	}
	for from := 0; from < changes; from += 64 {
		c.write(t, func(tx Tx) error {
			for k := from; k < from+64; k++ {
				if err := put(tx, Instance{ID: fmt.Sprintf("i%05d", k), Event: fair.ID}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := c.fleet.catchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	close(gate)
	all.Wait()
	until(t, "nobody follows any more", func() bool {
		c.fleet.mu.RLock()
		defer c.fleet.mu.RUnlock()
		return len(c.fleet.topics) == 0
	})
}

// TestFollowersCostOneReading: who is up to date is told without asking the store.
func TestFollowersCostOneReading(t *testing.T) {
	store := &viewingStore{}
	c := newConsole(t, withKeys(t), func(o *Options) { store.Store = o.Store; o.Store = store })
	fair, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	start, err := c.Newest(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var followers []*follower
	for range 200 {
		followers = append(followers, c.follow(t, aViewer, fair.ID, start))
	}
	until(t, "all follow", func() bool {
		c.fleet.mu.RLock()
		defer c.fleet.mu.RUnlock()
		return c.fleet.topics[fair.ID] != nil && c.fleet.topics[fair.ID].followers == 200
	})
	store.mu.Lock()
	before := store.views
	store.mu.Unlock()
	m.report.Why = "news"
	m.mustSay(t)
	for _, w := range followers {
		if n := w.next(t); n.ID != m.id {
			t.Errorf("told of %+v", n)
		}
	}
	store.mu.Lock()
	defer store.mu.Unlock()
	if n := store.views - before; n > 5 {
		t.Errorf("the store was asked %d times", n)
	}
}

// A viewingStore counts the transactions that read.
type viewingStore struct {
	Store
	mu    sync.Mutex
	views int
}

func (s *viewingStore) View(ctx context.Context, fn func(Tx) error) error {
	s.mu.Lock()
	s.views++
	s.mu.Unlock()
	return s.Store.View(ctx, fn)
}
