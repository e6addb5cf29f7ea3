package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	mostAtOnce = 8                      // launches that are under way, and as many events that are looked at
	mostEnds   = 4 * mostAtOnce         // ends that are under way: each mostly waits
	breather   = 200 * time.Millisecond // between two looks, so that a flood of changes costs little
	holdOff    = 5 * time.Second        // until what could not be written down is tried again
	mostDue    = 64                     // records that are looked at in one go
)

// What a job is about begins with the kind of a record, or with one of these.
const (
	pollOfCloud  = "cloud"
	pollOfImages = "images"
)

// A reconciler brings what is wanted and what the clouds have together. Its look is
// called by one goroutine; what calls a cloud or a webhook runs beside it.
type reconciler struct {
	c     *Console
	slots chan struct{} // of what asks a cloud
	ends  chan struct{} // of what waits until a cloud has let something go: that takes minutes, and nobody waits for it
	turns chan struct{} // of events: none is frozen late because a cloud hangs
	polls chan struct{} // of lists: a cloud that hangs keeps no other one from being looked at
	freed chan struct{} // holds one when a job ended
	full  bool          // the last look left something for want of either
	jobs  sync.WaitGroup

	mu    sync.Mutex           // guards what follows
	busy  map[string]bool      // what a job is about
	after map[string]time.Time // what failed here is not looked at before then

	polled  map[string]time.Time // when each cloud was asked last
	missing map[string]time.Time // since when an instance's machine is not listed
	strange map[string]time.Time // since when a machine without an instance is
	looked  map[string]time.Time // when the images of each cloud were looked through
	started time.Time
}

func newReconciler(c *Console) *reconciler {
	return &reconciler{c: c, slots: make(chan struct{}, mostAtOnce), ends: make(chan struct{}, mostEnds), turns: make(chan struct{}, mostAtOnce), polls: make(chan struct{}, mostAtOnce), freed: make(chan struct{}, 1), busy: map[string]bool{}, after: map[string]time.Time{},
		polled: map[string]time.Time{}, missing: map[string]time.Time{}, strange: map[string]time.Time{}, looked: map[string]time.Time{}, started: c.now()}
}

// reconcile brings what is wanted and what the clouds have together, until ctx ends. It
// goes by what is due, and each step is written down before and after, so that a kill at
// any moment only has it done again.
func (c *Console) reconcile(ctx context.Context) error {
	r := newReconciler(c)
	defer r.jobs.Wait()
	for {
		changed := c.store.Changed() // before the look, so that nothing is missed
		next := r.look(ctx)
		if !r.wait(ctx, changed, next) {
			return nil
		}
	}
}

// wait waits until next, or a moment after something changed; false: ctx ended.
func (r *reconciler) wait(ctx context.Context, changed <-chan struct{}, next time.Duration) bool {
	alarm := time.NewTimer(max(next, breather))
	defer alarm.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-alarm.C:
		return true
	case <-r.freed:
		if r.full {
			return true
		}
	case <-changed:
	case <-r.c.wake:
	}
	calm := time.NewTimer(breather)
	defer calm.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-calm.C:
		return true
	}
}

// look does all that is due, and returns how long until something else is.
func (r *reconciler) look(ctx context.Context) time.Duration {
	r.full = false
	r.c.clock.doubt() // a jump counts from when it was
	next := r.pollClouds(ctx)
	r.pollImages(ctx)
	for _, of := range []struct {
		Query
		slots chan struct{}
		step  func(context.Context, string) error
	}{
		{Query{Kind: KindEvent}, r.turns, r.stepEvent},
		{Query{Kind: KindInstance, Except: string(InstanceEnding)}, r.slots, r.stepInstance},
		{Query{Kind: KindInstance, State: string(InstanceEnding)}, r.ends, r.stepInstance},
		{Query{Kind: KindClearing}, r.ends, r.stepClearing},
		{Query{Kind: KindBake}, r.slots, r.stepBake},
	} {
		due, err := r.due(ctx, of.Query)
		if err != nil {
			r.c.log.Error("look at what is due", "err", err)
			return holdOff
		}
		for _, rec := range due {
			if wait := rec.Due.Sub(r.c.now()); wait > 0 {
				next = min(next, wait)
				break
			}
			if !r.start(ctx, of.slots, string(of.Kind)+"/"+rec.ID, func(ctx context.Context) error { return of.step(ctx, rec.ID) }) {
				r.full = true
			}
		}
	}
	return next
}

// due are the records that nothing is done about yet, the first due first.
func (r *reconciler) due(ctx context.Context, of Query) (free []Record, err error) {
	of.Due, of.Limit = farFuture, mostDue
	err = r.c.store.View(ctx, func(tx Tx) error {
		all, err := tx.List(of)
		free = all[:0]
		now := r.c.now()
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, rec := range all {
			what := string(of.Kind) + "/" + rec.ID
			if !r.busy[what] && !r.after[what].After(now) {
				free = append(free, rec)
			}
		}
		return err
	})
	return free, err
}

// farFuture is after everything that is ever due.
var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// start does something beside, in one of the slots; false: too much is under way.
func (r *reconciler) start(ctx context.Context, slots chan struct{}, what string, do func(context.Context) error) bool {
	select {
	case slots <- struct{}{}:
	default:
		return false
	}
	r.mu.Lock()
	r.busy[what] = true
	r.mu.Unlock()
	r.jobs.Go(func() {
		err := do(ctx)
		r.mu.Lock()
		delete(r.busy, what)
		delete(r.after, what)
		if err != nil && ctx.Err() == nil {
			if !errors.Is(err, errDoubted) { // that was said
				r.c.log.Error("reconcile", "what", what, "err", err)
			}
			r.after[what] = r.c.now().Add(holdOff)
		}
		r.mu.Unlock()
		<-slots
		select {
		case r.freed <- struct{}{}:
		default:
		}
	})
	return true
}

// stepEvent does what is due of an event.
func (r *reconciler) stepEvent(ctx context.Context, id string) error {
	var e Event
	err := r.c.store.Update(ctx, func(tx Tx) (err error) {
		if e, err = get[Event](tx, id); err != nil {
			return err
		}
		if err := r.c.advance(tx, &e); err != nil {
			return err
		}
		e.Due = e.nextDue()
		return put(tx, e)
	})
	if err != nil {
		return fmt.Errorf("advance event %s: %w", id, err)
	}
	if len(e.Messages) > 0 && !e.Messages[0].Due.After(r.c.now()) {
		if err := r.c.deliver(ctx, e); err != nil {
			return err
		}
	}
	purges := e.State == EventArchived && !e.PurgeAt.IsZero() && !e.PurgeAt.After(r.c.now())
	if e.doubted() || purges && r.c.clock.doubt() != "" {
		return errDoubted
	}
	if purges {
		if err = r.c.leads(ctx); err == nil {
			_, err = r.c.purge(ctx, id)
		}
	}
	return err
}
