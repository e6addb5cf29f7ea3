package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Of several consoles on one store one does what must be done once: it launches and ends,
// asks the clouds, tells webhooks, keeps house. It holds the lease, a record that it counts
// up. Nobody looks at another's clock: the others replace who holds it when the count stands
// still, by their own; it stops before, by its own, when it cannot count; and what it writes
// nevertheless is refused, since each of its transactions asks whether the term is still its
// own.

// kindLease is of the one lease there is.
const kindLease Kind = "lease"

const leaseID = "work"

const (
	beatEvery = time.Second
	// holdFor is how long what must be done once goes on without a beat.
	holdFor = 3 * time.Second
	// standsFor is how long a count stands still until its holder is replaced. It is longer
	// than holdFor by what calls that are given up take.
	standsFor = 5 * time.Second
	// blindFor is the longest pause between two looks in which a beat would not be missed.
	blindFor = 2 * time.Second
	// leaseTime bounds one look at the lease, and one try to take it or to give it back.
	leaseTime = 5 * time.Second
	// endsIn is how long a transaction that was begun in a term may go on after it.
	endsIn = 30 * time.Second
)

// ErrLeaseLost says that another console does by now what this one was about to do.
var ErrLeaseLost = errors.New("another console leads now")

// A lease is what the record says.
type lease struct {
	Holder string `json:"holder,omitempty"` // a console's name; empty: nobody
	Term   int64  `json:"term"`             // counts up when it is taken
	Beat   int64  `json:"beat"`             // counts up while it is held
	Clock  int64  `json:"clock"`            // the fleet's time at that beat, in milliseconds; see skew
	quiet  bool   // only its beat is another: that wakes nobody, on any console
}

func (l lease) record() Record { return Record{Kind: kindLease, ID: leaseID, Quiet: l.quiet} }

// readLease reads it; where there is none, nobody ever held it.
func readLease(tx Tx) (l lease, err error) {
	if l, err = get[lease](tx, leaseID); errors.Is(err, ErrNotFound) {
		err = nil
	}
	return l, err
}

// lead does what must be done once whenever this console holds the lease, until ctx ends.
func (c *Console) lead(ctx context.Context) error {
	for {
		t, err := c.awaitLease(ctx)
		if err != nil {
			return nil // ctx ended
		}
		c.log.Info("this console leads", "term", t.number)
		err = t.run(ctx, c)
		if ctx.Err() != nil {
			if bad := t.giveBack(ctx); bad != nil { // others take it a while later
				c.log.Warn("stop", "err", bad)
			}
			return err
		}
		if err != nil {
			c.log.Error("lead", "err", err)
		}
		c.log.Warn("this console leads no more", "term", t.number)
	}
}

// awaitLease waits until this console has taken the lease.
func (c *Console) awaitLease(ctx context.Context) (*term, error) {
	w := watcher{name: c.opts.Name}
	said := false // why it cannot be had
	for {
		changed := c.store.Changed() // before the look, so that nothing is missed
		is, err := c.lookAtLease(ctx)
		if err != nil {
			w.blind()
		} else if beat, free := w.sees(is, time.Now()); free {
			var t *term
			if t, err = c.takeLease(ctx, is); err == nil {
				return t, nil
			}
		} else if beat {
			c.goBy(time.UnixMilli(is.Clock))
		}
		if bad := err != nil && !errors.Is(err, ErrLeaseLost); bad && !said && ctx.Err() == nil {
			c.log.Warn("which console leads is not known, and this one cannot lead; it tries on", "err", err)
			said = true
		} else if !bad {
			said = false
		}
		if !pause(ctx, changed) {
			return nil, ctx.Err()
		}
	}
}

// goBy goes by the fleet's time, as it was a moment ago where the lease is held.
func (c *Console) goBy(fleet time.Time) {
	other, first := c.skew.follow(fleet)
	if other {
		c.fleet.deaf() // what was heard before was by another clock
	}
	if first {
		c.clock.believe()
	}
	c.clock.doubt() // the clock of who leads may jump, and this console goes on with its time
}

// pause waits until the lease is to be looked at again; false: ctx ended.
func pause(ctx context.Context, changed <-chan struct{}) bool {
	for _, wait := range []struct {
		most time.Duration
		news <-chan struct{}
	}{{breather, nil}, {beatEvery - breather, changed}} {
		alarm := time.NewTimer(wait.most)
		defer alarm.Stop()
		select {
		case <-alarm.C:
		case <-wait.news:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (c *Console) lookAtLease(ctx context.Context) (is lease, err error) {
	ctx, cancel := context.WithTimeout(ctx, blindFor)
	defer cancel()
	err = c.store.View(ctx, func(tx Tx) error { is, err = readLease(tx); return err })
	return is, err
}

// A watcher judges from outside whether who holds the lease is there.
type watcher struct {
	name  string
	last  lease
	since time.Time // when it first read like that, by the clock of who looks; zero: it is not known
	saw   time.Time // the last look
}

// blind says that the lease could not be read: whether it was counted up is not known.
func (w *watcher) blind() { w.since = time.Time{} }

// sees takes in what the lease reads as. beat: it was counted up since the last look; free:
// nobody holds it, who does is gone, or was this console before it was started anew.
func (w *watcher) sees(is lease, now time.Time) (beat, free bool) {
	known := !w.since.IsZero() && now.Sub(w.saw) <= blindFor
	if !known || is != w.last {
		beat = known && is.Term == w.last.Term
		w.since = now
	}
	w.last, w.saw = is, now
	return beat, is.Holder == "" || is.Holder == w.name || now.Sub(w.since) >= standsFor
}

// takeLease takes the lease, if it still reads as it did.
func (c *Console) takeLease(ctx context.Context, was lease) (*term, error) {
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	t := &term{store: c.store, now: c.now, holder: c.opts.Name, number: was.Term + 1}
	began := time.Now()
	c.skew.reach(time.UnixMilli(was.Clock))
	err := c.store.Update(ctx, func(tx Tx) error {
		is, err := readLease(tx)
		if err == nil && is != was {
			err = ErrLeaseLost
		}
		if err != nil {
			return err
		}
		return put(tx, lease{Holder: t.holder, Term: t.number, Beat: was.Beat + 1, Clock: c.now().UnixMilli()})
	})
	if err != nil {
		return nil, fmt.Errorf("take the lease: %w", err)
	}
	t.until = began.Add(holdFor)
	return t, nil
}

// A term is the time for which this console holds the lease.
type term struct {
	store  Store
	now    func() time.Time
	holder string
	number int64
	lose   context.CancelCauseFunc // ends what is done in it

	mu    sync.Mutex
	until time.Time // it is this console's at least until then, by its own clock
}

// run does what must be done once until ctx ends or the lease is lost, and returns when all
// of it has stopped.
func (t *term) run(ctx context.Context, c *Console) error {
	ctx, t.lose = context.WithCancelCause(ctx)
	defer t.lose(nil)
	var beats sync.WaitGroup
	beats.Go(func() { t.beats(ctx, c.skew) })
	err := c.under(t).once(ctx)
	t.lose(nil)
	beats.Wait()
	return err
}

// under is this console as it is in a term: with no other store to write to than a fenced one.
// What it hears from instances (fleet) has the other one: any console writes that down.
func (c *Console) under(t *term) *Console {
	led := *c
	led.term, led.store = t, fenced{c.store, t}
	led.opts.Store = led.store
	return &led
}

// beats counts the lease up until ctx ends. Where that does not work for holdFor, the term
// is over: whoever watches takes the lease a while later.
func (t *term) beats(ctx context.Context, s *skew) {
	alarm := time.AfterFunc(time.Until(t.lasts()), func() { t.lose(ErrLeaseLost) })
	defer alarm.Stop()
	next := time.NewTicker(beatEvery)
	defer next.Stop()
	for {
		select {
		case <-next.C:
		case <-ctx.Done():
			return
		}
		s.settle(beatEvery)
		began := time.Now()
		err := t.update(ctx, func(tx Tx) error {
			is, err := readLease(tx)
			if err != nil {
				return err
			}
			is.Beat++
			is.Clock, is.quiet = t.now().UnixMilli(), true
			return put(tx, is)
		})
		if err == nil {
			t.extend(began.Add(holdFor))
			alarm.Reset(time.Until(t.lasts()))
		}
	}
}

func (t *term) lasts() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.until
}

func (t *term) extend(until time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until = until
}

// holds says whether the term is still this console's, in the transaction that asks.
func (t *term) holds(tx Tx) error {
	is, err := readLease(tx)
	if err == nil && (is.Term != t.number || is.Holder != t.holder) {
		err = ErrLeaseLost
	}
	return err
}

// update writes to the store if the term is still this console's, and ends it where it is not.
func (t *term) update(ctx context.Context, fn func(Tx) error) error {
	err := t.store.Update(ctx, func(tx Tx) error {
		if err := t.holds(tx); err != nil {
			return err
		}
		return fn(tx)
	})
	if errors.Is(err, ErrLeaseLost) {
		t.lose(ErrLeaseLost)
	}
	return err
}

// giveBack lets another console take the lease at once.
func (t *term) giveBack(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaseTime)
	defer cancel()
	err := t.update(ctx, func(tx Tx) error {
		is, err := readLease(tx)
		if err != nil {
			return err
		}
		is.Holder = ""
		return put(tx, is)
	})
	if errors.Is(err, ErrLeaseLost) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("give the lease back: %w", err)
	}
	return nil
}

// fenced is the store as it is written to in a term: by nobody else's. All that is done in
// a term has no other one.
type fenced struct {
	Store
	term *term
}

// Update implements Store. Its error is ErrLeaseLost where the term is over. What holds the
// store goes on though ctx ends: nobody can take the lease meanwhile, and a change that takes
// longer than a term lasts without a beat would never be made.
func (s fenced) Update(ctx context.Context, fn func(Tx) error) error {
	goesOn, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	waits := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	defer waits()
	begun := false
	return s.term.update(goesOn, func(tx Tx) error {
		if !begun { // it may be begun anew
			if begun = waits(); !begun {
				return context.Cause(ctx)
			}
			end := time.AfterFunc(endsIn, func() { cancel(context.DeadlineExceeded) })
			context.AfterFunc(goesOn, func() { end.Stop() })
		}
		return fn(tx)
	})
}

// leads says whether what this console does by itself may be done right now: it is asked
// before each call that reaches beyond the store. Its error is ErrLeaseLost where it may not.
func (c *Console) leads(ctx context.Context) error {
	if c.term == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, holdFor)
	defer cancel()
	err := c.store.View(ctx, c.term.holds)
	if !time.Now().Before(c.term.lasts()) { // also of one that was stopped for a while
		err = ErrLeaseLost
	}
	if errors.Is(err, ErrLeaseLost) {
		c.term.lose(err)
	}
	return err
}
