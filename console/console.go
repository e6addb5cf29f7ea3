// Package console is what the console does: events, launches, enrolment, the fleet
// and its end. It declares the Store that keeps what it knows and the Cloud that
// instances come from.
//
// Its use cases are methods of Console. Each takes the actor who asks, and asks
// authorise before it does anything; each that writes does so in one transaction, with
// the entry of the audit log in it.
package console

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"popup/internal/guard"
	"popup/userdata"
)

// Options are what a console is made of.
type Options struct {
	Store Store // closed by whoever opened it
	// Name is what this console is called among several that share the store: none other has
	// it, and it keeps it when it is started anew. Empty: it has the store alone.
	Name string
	// Cluster is those several; nil: it has the store alone.
	Cluster Cluster
	Clouds  map[string]Cloud // by name
	Cloud   string           // the name of the one that is used where none is asked for
	Keys    *Keys            // what seals secrets
	// Catalogue finds what is launched; nil: nothing can be.
	Catalogue Catalogue
	Guard     *guard.Dialer // what connects to addresses that strangers gave; nil: to the open internet alone
	Archives  *Archives     // the vault; nil: no backup is kept here
	State     StateVault    // where instances keep backups instead; zero: here
	LogPeers  LogPeers      // nil: what this console was not sent is nowhere
	// PurgeAfter is how long archives are kept once an event is archived; 0: 30 days.
	PurgeAfter time.Duration
	// KeepImages is how long an image that was baked is kept; 0: 30 days.
	KeepImages time.Duration
	// Reach is how the machines of each cloud reach this console, by the cloud's name.
	Reach   map[string]Reach
	URL     string          // at which instances and browsers reach this console, without a / at its end
	Pin     string          // of its certificate, for instances; empty: public authorities vouch for it
	Binary  userdata.Binary // what instances download
	Version string
	Log     *slog.Logger // nil: nothing is logged
	Now     func() time.Time
	// ReportEvery is how often an instance reports where there is no news; 0: 30 seconds.
	ReportEvery time.Duration
}

// A Console is the console. Its methods may be called from several goroutines.
type Console struct {
	opts  Options
	store Store
	log   *slog.Logger
	now   func() time.Time
	skew  *skew
	clock *clock
	fleet *fleet
	door  *door
	wake  chan struct{} // holds one when the reconciler has something to look at
	term  *term         // nil: nobody else does by itself what it does, or it does nothing by itself
}

// New makes a console on what opts names, and reads what its store knows of the fleet.
func New(ctx context.Context, opts Options) (*Console, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	uptime := uptimeBy(opts.Now)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Guard == nil {
		opts.Guard = guard.New(guard.Options{})
	}
	if opts.PurgeAfter == 0 {
		opts.PurgeAfter = defaultPurge
	}
	if opts.KeepImages == 0 {
		opts.KeepImages = defaultKeepImages
	}
	if opts.Clouds[opts.Cloud] == nil {
		return nil, fmt.Errorf("open the console: there is no cloud %q", opts.Cloud)
	}
	c := &Console{opts: opts, store: opts.Store, log: opts.Log, now: opts.Now, wake: make(chan struct{}, 1), door: newDoor()}
	if opts.Name != "" {
		c.skew = &skew{own: opts.Now, log: opts.Log}
		c.now = c.skew.now
	}
	c.clock = newClock(c.now, uptime, opts.Log)
	fleet, err := newFleet(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("open the console: %w", err)
	}
	c.fleet = fleet
	return c, nil
}

// Now is the time by which its dates are judged: of consoles that share a store, the fleet's.
func (c *Console) Now() time.Time { return c.now() }

// CheckStore reads the store, and says why it cannot: of several consoles, that nobody leads.
func (c *Console) CheckStore(ctx context.Context) error {
	return c.store.View(ctx, func(tx Tx) error { _, err := tx.Newest(); return err })
}

// Run does what the console does by itself, until ctx ends: it launches, adopts and
// ends instances, reminds, expires, and writes down what was heard. Each of its loops
// goes on after an error; what Run returns is what kept one from ending well. Of several
// consoles that share a store one launches, adopts, ends, reminds and expires.
func (c *Console) Run(ctx context.Context) error {
	if c.opts.Name == "" {
		return side(ctx, c.fleet.run, c.once)
	}
	return side(ctx, c.fleet.run, c.lead, c.mendCopies)
}

// once does what must be done by one console alone, until ctx ends.
func (c *Console) once(ctx context.Context) error {
	return side(ctx, c.reconcile, c.keepHouse)
}

// side runs loops side by side, and waits for all.
func side(ctx context.Context, loops ...func(context.Context) error) error {
	var wg sync.WaitGroup
	errs := make([]error, len(loops))
	for i, loop := range loops {
		wg.Go(func() { errs[i] = loop(ctx) })
	}
	wg.Wait()
	return errors.Join(errs...)
}

// nudge has the reconciler look now.
func (c *Console) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// audit adds what an actor did to the audit log of the transaction.
func (c *Console) audit(tx Tx, a Actor, action, object, detail string) error {
	return tx.Audit(AuditEntry{At: c.now(), Actor: a.ID, Action: action, Object: object, Detail: detail})
}
