package console

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/guard"
)

// A valve is a store whose reads and writes can be cut off, and held up.
type valve struct {
	Store
	mu           sync.Mutex
	reads, write error // what they fail with; nil: they work
}

func (g *valve) failure(of *error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return *of
}

func (g *valve) cut(reads, write error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.reads, g.write = reads, write
}

func (g *valve) View(ctx context.Context, fn func(Tx) error) error {
	if err := g.failure(&g.reads); err != nil {
		return err
	}
	return g.Store.View(ctx, fn)
}

func (g *valve) Update(ctx context.Context, fn func(Tx) error) error {
	if err := g.failure(&g.write); err != nil {
		return err
	}
	return g.Store.Update(ctx, fn)
}

var errCutOff = errors.New("cut off")

// A mate is one of several consoles on one store, whose loops run.
type mate struct {
	*testConsole
	valve *valve
	stop  context.CancelFunc
	done  chan error
}

// newCluster makes consoles of those names that share a store and a cloud. The clock of each
// is that of the test, and what skews says.
func newCluster(t *testing.T, skews map[string]time.Duration) map[string]*mate {
	t.Helper()
	base := newConsole(t)
	all, began := map[string]*mate{}, time.Now()
	for name, skew := range skews {
		opts := base.opts
		g := &valve{Store: base.store}
		opts.Store, opts.Name = g, name
		opts.Now = func() time.Time { return aDay.Add(time.Since(began) + skew) }
		opts.Log = slog.New(slog.NewTextHandler(t.Output(), nil)).With("console", name)
		c, err := New(t.Context(), opts)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = &mate{testConsole: &testConsole{Console: c, cloud: base.cloud}, valve: g}
	}
	return all
}

func (m *mate) start(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	m.stop, m.done = cancel, make(chan error, 1)
	go func() { m.done <- m.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-m.done
		m.done <- nil
	})
}

// ends tells it to end, and waits until it has.
func (m *mate) ends(t *testing.T) {
	t.Helper()
	m.stop()
	if err := <-m.done; err != nil {
		t.Error(err)
	}
	m.done <- nil
}

func leaseOf(t testing.TB, s Store) (is lease) {
	t.Helper()
	if err := s.View(t.Context(), func(tx Tx) (err error) { is, err = readLease(tx); return err }); err != nil {
		t.Fatal(err)
	}
	return is
}

// holder checks who holds the lease after a while.
func (m *mate) holder(t testing.TB, after time.Duration, want string, term int64) {
	t.Helper()
	time.Sleep(after)
	synctest.Wait()
	if is := leaseOf(t, m.valve.Store); is.Holder != want || is.Term != term {
		t.Errorf("the lease is held by %q in term %d, want %q in %d", is.Holder, is.Term, want, term)
	}
}

// TestLeaseIsHeldByOne, and is another's soon after its holder ends, well or not.
func TestLeaseIsHeldByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newCluster(t, map[string]time.Duration{"a": 0, "b": 0})
		a, b := all["a"], all["b"]
		a.start(t)
		b.holder(t, time.Second, "a", 1)
		b.start(t)
		b.holder(t, 15*time.Second, "a", 1)
		a.ends(t)
		b.holder(t, time.Second, "b", 2)

		a.start(t) // once more
		a.holder(t, 10*time.Second, "b", 2)
		b.valve.cut(errCutOff, errCutOff)
		a.holder(t, standsFor-beatEvery-2*breather, "b", 2)
		a.holder(t, 3*beatEvery, "a", 3)
		b.valve.cut(nil, nil)
		a.holder(t, 10*time.Second, "a", 3)
		b.valve.cut(errCutOff, errCutOff)
		b.fleet.mu.Lock()
		b.fleet.unwritten++
		b.fleet.mu.Unlock()
		b.ends(t) // well, though it cannot write down what it heard
		a.valve.cut(nil, errCutOff)
		a.ends(t)
		if is := leaseOf(t, a.valve.Store); is.Beat < 40 {
			t.Errorf("it was counted up %d times", is.Beat)
		}
	})
}

// TestLeaseIsGivenUpBeforeItIsTaken: who cannot count stops all it does by itself before
// another takes the lease, and goes on once it can and nobody has.
func TestLeaseIsGivenUpBeforeItIsTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := newCluster(t, map[string]time.Duration{"a": 0, "b": 0})
		a, b := all["a"], all["b"]
		var mu sync.Mutex
		var calls []string
		for name, m := range all {
			m.opts.Clouds = map[string]Cloud{"local": listing{m.cloud, func() {
				mu.Lock()
				defer mu.Unlock()
				calls = append(calls, name)
			}}}
		}
		a.start(t)
		a.holder(t, 10*time.Second, "a", 1)
		a.valve.cut(nil, errCutOff)
		cut := time.Now()
		b.start(t)
		a.holder(t, holdFor+time.Millisecond, "a", 1)
		if err := a.Console.leads(t.Context()); err != nil {
			t.Errorf("what people ask for is refused: %v", err)
		}
		mu.Lock()
		calls = nil
		mu.Unlock()
		a.holder(t, 20*time.Second, "b", 2)
		mu.Lock()
		if slices.Contains(calls, "a") || !slices.Contains(calls, "b") {
			t.Errorf("since %s the cloud was asked by %v", cut, calls)
		}
		mu.Unlock()

		b.valve.cut(errCutOff, errCutOff)
		a.holder(t, 10*time.Second, "b", 2) // it cannot write
		a.valve.cut(nil, nil)
		a.holder(t, 2*time.Second, "a", 3)
		a.valve.cut(nil, errCutOff)
		a.holder(t, holdFor+time.Second, "a", 3)
		a.valve.cut(nil, nil)
		a.holder(t, 2*time.Second, "a", 4) // its own is not waited for
	})
}

// listing is a cloud that tells when it is asked for its machines.
type listing struct {
	*fakeCloud
	asked func()
}

func (l listing) Machines(ctx context.Context) ([]Machine, error) {
	l.asked()
	return l.fakeCloud.Machines(ctx)
}

// TestWatcher judges by its own clock alone, and only as far as it could read.
func TestWatcher(t *testing.T) {
	type look struct {
		after time.Duration
		reads lease // Term 0: it cannot be read
		beat  bool
		free  bool
	}
	held := func(beat int64) lease { return lease{Holder: "a", Term: 3, Beat: beat} }
	for name, looks := range map[string][]look{
		"nobody has it":      {{0, lease{Term: 2}, false, true}},
		"nobody ever had it": {{0, lease{Holder: "", Term: 0, Beat: 1}, false, true}},
		"it was its own":     {{0, lease{Holder: "me", Term: 2}, false, true}},
		"it is counted":      {{0, held(1), false, false}, {time.Second, held(2), true, false}, {time.Second, held(3), true, false}},
		"it stands still": {{0, held(1), false, false}, {2 * time.Second, held(1), false, false}, {2 * time.Second, held(1), false, false},
			{time.Second - 1, held(1), false, false}, {1, held(1), false, true}},
		"it could not be read": {{0, held(1), false, false}, {2 * time.Second, held(1), false, false}, {time.Second, lease{}, false, false},
			{time.Second, held(1), false, false}, {2 * time.Second, held(1), false, false}, {2 * time.Second, held(1), false, false}, {time.Second, held(1), false, true}},
		"who looks was stopped":                 {{0, held(1), false, false}, {time.Hour, held(1), false, false}, {2 * time.Second, held(1), false, false}},
		"who looks was stopped, and it goes on": {{0, held(1), false, false}, {time.Hour, held(2), false, false}, {time.Second, held(3), true, false}},
		"another took it":                       {{0, held(1), false, false}, {time.Second, lease{Holder: "b", Term: 4, Beat: 2}, false, false}},
	} {
		w, now := watcher{name: "me"}, time.Now()
		for n, l := range looks {
			now = now.Add(l.after)
			if l.reads == (lease{}) {
				w.blind()
				continue
			}
			if beat, free := w.sees(l.reads, now); beat != l.beat || free != l.free {
				t.Errorf("%s, look %d: beat %v, free %v", name, n, beat, free)
			}
		}
	}
}

// TestOneTakesTheLease, of many who see at once that nobody has it.
func TestOneTakesTheLease(t *testing.T) {
	all := newCluster(t, map[string]time.Duration{"a": 0, "b": 0, "c": 0, "d": 0})
	took := make(chan error, len(all))
	was := leaseOf(t, all["a"].store)
	for _, m := range all {
		go func() {
			_, err := m.takeLease(t.Context(), was)
			took <- err
		}()
	}
	won := 0
	for range all {
		if err := <-took; err == nil {
			won++
		} else if !errors.Is(err, ErrLeaseLost) {
			t.Error(err)
		}
	}
	if won != 1 {
		t.Errorf("%d took it", won)
	}
}

// TestALongChangeIsMade: what takes longer than a term lasts without a beat, and holds the
// store all that time, is written all the same. What comes after it is of the next term.
func TestALongChangeIsMade(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newCluster(t, map[string]time.Duration{"a": 0})["a"]
		lead, err := a.takeLease(t.Context(), leaseOf(t, a.store))
		if err != nil {
			t.Fatal(err)
		}
		ctx, lose := context.WithCancelCause(t.Context())
		lead.lose = lose
		go lead.beats(ctx, a.skew)
		led := a.under(lead)
		err = led.store.Update(ctx, func(tx Tx) error {
			time.Sleep(standsFor)
			return put(tx, Event{ID: "id-fair", Name: "fair"})
		})
		if err != nil || ctx.Err() == nil {
			t.Errorf("it took %s: %v; its term: %v", standsFor, err, ctx.Err())
		}
		checkState(t, "what it wrote", stored[Event](t, a.testConsole, "id-fair").Name, "fair")
		if err := led.store.Update(ctx, func(Tx) error { return nil }); err == nil {
			t.Error("so was another one after that")
		}
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		again := a.under(&term{store: a.store, holder: "a", number: lead.number, lose: func(error) {}, until: time.Now().Add(time.Hour)})
		err = again.store.Update(short, func(Tx) error { time.Sleep(2 * endsIn); return nil })
		if err == nil {
			t.Error("one that does not end was made")
		}
	})
}

// TestNothingIsAskedInALostTerm: neither where another console has the lease, nor where this
// one was stopped for so long that another may.
func TestNothingIsAskedInALostTerm(t *testing.T) {
	c := newConsole(t)
	told := 0
	hook := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { told++ }))
	t.Cleanup(hook.Close)
	c.opts.Guard = guard.New(guard.Options{AllowPrivate: true})
	e := Event{ID: "id-fair", Name: "fair", Webhook: hook.URL, Messages: []Message{{ID: "m", Text: "hello"}}}
	c.write(t, func(tx Tx) error { return errors.Join(put(tx, e), put(tx, lease{Holder: "a", Term: 4})) })
	for name, w := range map[string]struct {
		term  int64
		until time.Duration
		want  error
	}{
		"its own":     {4, time.Minute, nil},
		"it was lost": {3, time.Minute, ErrLeaseLost},
		"it is late":  {4, -1, ErrLeaseLost},
	} {
		told = 0
		lost := false
		led := c.under(&term{store: c.store, holder: "a", number: w.term, lose: func(error) { lost = true }, until: time.Now().Add(w.until)})
		if _, err := newReconciler(led).cloud(t.Context(), "local"); !errors.Is(err, w.want) || lost != (w.want != nil) {
			t.Errorf("%s: asked for a cloud it says %v, and ends: %v", name, err, lost)
		}
		if err := led.deliver(t.Context(), e); !errors.Is(err, w.want) || (told == 0) != (w.want != nil) {
			t.Errorf("%s: its webhook was told %d times, %v", name, told, err)
		}
	}
}
