package front

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// A Serving is one release and revision, ready to answer.
type Serving struct {
	// Handler answers. It must end when the context of its request does: that is
	// how a drain that takes too long is ended. Nil: back to the boot page.
	Handler           http.Handler
	Release, Revision string // for the access log
	// Stop is called once, in a goroutine of the Front's, after the last request
	// that used this serving is done. Nil: nothing is to be stopped.
	Stop func()
}

var errDrained = errors.New("the serving was replaced and its time to drain is over")

// active is a serving in use. Its requests and retired are guarded by Front.mu.
type active struct {
	Serving
	ctx      context.Context // of all its requests
	cancel   context.CancelCauseFunc
	requests int
	retired  bool
	idle     chan struct{} // closed when it is retired and its last request is done
	stopped  chan struct{} // closed when Stop has returned
	settled  bool
}

func newActive(s Serving) *active {
	a := &active{Serving: s, idle: make(chan struct{}), stopped: make(chan struct{})}
	a.ctx, a.cancel = context.WithCancelCause(context.Background())
	return a
}

func (a *active) settle() {
	if a.retired && a.requests == 0 && !a.settled {
		a.settled = true
		close(a.idle)
	}
}

// Flip sends new requests to next at once. The one before is drained: its
// requests run on for at most Options.Drain, are cancelled then, and its Stop is
// called when the last of them is done. After Close, next is stopped at once.
func (f *Front) Flip(next Serving) {
	a := newActive(next)
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.current
	switch {
	case f.closed:
		old = a
	case next.Handler == nil:
		f.current = nil
	default:
		f.current = a
	}
	f.retire(old)
	f.announce()
}

// retire drains a in a goroutine that Close waits for; f.mu is held.
func (f *Front) retire(a *active) {
	if a == nil {
		return
	}
	a.retired = true
	f.draining[a] = struct{}{}
	a.settle()
	go f.drain(a)
}

func (f *Front) drain(a *active) {
	defer close(a.stopped)
	patience := time.NewTimer(f.opts.Drain)
	defer patience.Stop()
	select {
	case <-a.idle:
	case <-patience.C:
		f.log.Info("cancel requests of a replaced serving", "release", a.Release, "revision", a.Revision, "took", f.opts.Drain)
		a.cancel(errDrained)
		<-a.idle
	}
	a.cancel(errDrained)
	if a.Stop != nil {
		a.Stop()
	}
	f.mu.Lock()
	delete(f.draining, a)
	f.mu.Unlock()
}

// forcedDrain is how long Close waits for requests that it has cancelled.
const forcedDrain = 5 * time.Second

// Close answers new requests 503, drains what is served and waits until every
// Stop has returned. When ctx ends first, requests that still run are cancelled
// and Close waits five seconds more; what is left then is an error. Call it
// after http.Server.Shutdown. A second Close waits like the first.
func (f *Front) Close(ctx context.Context) error {
	f.EndStreams()
	f.mu.Lock()
	f.closed = true
	f.retire(f.current)
	f.current = nil
	f.announce()
	var waiting []*active
	for a := range f.draining {
		waiting = append(waiting, a)
	}
	f.mu.Unlock()

	if waitStopped(ctx, waiting) == nil {
		return nil
	}
	for _, a := range waiting {
		a.cancel(errDrained)
	}
	forced, cancel := context.WithTimeout(context.WithoutCancel(ctx), forcedDrain)
	defer cancel()
	if waitStopped(forced, waiting) == nil {
		return nil
	}
	return fmt.Errorf("drain requests: %w", ctx.Err())
}

func waitStopped(ctx context.Context, all []*active) error {
	for _, a := range all {
		select {
		case <-a.stopped:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
