package console

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A fleet is what this process knows of all instances: what the store says of them, read
// once and then kept up to date by the store's changes, and what was heard since. Lists,
// counts and signatures are answered from it without asking the store.
type fleet struct {
	c       *Console
	follows bool // it is kept up to date, and not read at once

	reading sync.Mutex // held by whoever reads the store's changes
	writes  sync.Mutex // held by whoever writes down what was heard

	mu          sync.RWMutex // guards what follows
	listens     time.Time    // since when; nobody is called silent for what came before
	seq         int64        // the store's change up to which all of this was read
	events      map[string]Event
	deployments map[string]launched
	members     map[string]*member
	byEvent     map[string][]*member
	topics      map[string]*topic    // of those that somebody follows, by event; "": all of them
	unwritten   int                  // how many were heard since that was written down
	rows        map[string]time.Time // when what each console heard was last read anew

	newsroom  newsroom
	logs      sentLogs
	answering atomic.Int64 // reports, at this moment
}

// launched is what is shown of a deployment beside its instances.
type launched struct {
	title, app string
	image      bool // its machines start from one
}

func newFleet(ctx context.Context, c *Console) (*fleet, error) {
	f := &fleet{c: c, follows: true, listens: c.now(), rows: map[string]time.Time{}, topics: map[string]*topic{}, newsroom: newsroom{turn: make(chan struct{}, 1)}}
	if err := f.readAll(ctx); err != nil {
		return nil, fmt.Errorf("read the fleet: %w", err)
	}
	return f, nil
}

// How often what was heard is written down, and how soon the store is asked again after
// it could not be read.
const (
	heardEvery = 30 * time.Second
	readAgain  = time.Second
)

// run follows the store, and writes down what was heard, until ctx ends; then once more.
func (f *fleet) run(ctx context.Context) error {
	heard := time.NewTicker(heardEvery)
	defer heard.Stop()
	away := false
	for {
		changed := f.c.store.Changed()
		var again <-chan time.Time
		err := f.catchUp(ctx)
		if err != nil && ctx.Err() == nil {
			if !away { // it is asked again every second
				f.c.log.Error("follow the store", "err", err)
			}
			again = time.After(readAgain)
			f.deaf()
		}
		away = err != nil
		select {
		case <-changed:
		case <-again:
		case <-heard.C: // and the store is looked at, whoever else writes to it
			if err := f.writeHeard(ctx); err != nil && ctx.Err() == nil {
				f.c.log.Error("write down what was heard", "err", err)
			}
		case <-ctx.Done():
			const most = 5 * time.Second
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), most)
			defer cancel()
			err := f.writeHeard(ctx)
			if err != nil && f.c.opts.Name != "" { // most of the others may have ended before
				f.c.log.Warn("stop", "err", err)
				return nil
			}
			return err
		}
	}
}

// deaf says that nothing can be heard of what others hear.
func (f *fleet) deaf() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listens = f.c.now()
}

// catchUp reads what changed since it was read last. When it returns, whatever was
// committed before it was called is here.
func (f *fleet) catchUp(ctx context.Context) error {
	f.reading.Lock()
	defer f.reading.Unlock()
	for {
		f.mu.RLock()
		after := f.seq
		f.mu.RUnlock()
		var changes []Change
		var news renewed
		err := f.c.store.View(ctx, func(tx Tx) (err error) {
			if changes, err = tx.Changes(after, mostListed); err != nil {
				return err
			}
			news, err = f.readRenewed(tx, changes)
			return err
		})
		if errors.Is(err, ErrForgotten) {
			return f.readAll(ctx)
		}
		if err != nil || len(changes) == 0 {
			return err
		}
		f.mu.Lock()
		f.apply(news)
		f.seq = changes[len(changes)-1].Seq
		f.publish(changes)
		f.mu.Unlock()
		if len(changes) < mostListed {
			return nil
		}
	}
}

// refresh has the fleet know of what was just committed. Where that does not work it
// hears of it later: what was committed is not to be done again.
func (f *fleet) refresh(ctx context.Context) {
	if err := f.catchUp(ctx); err != nil {
		f.c.log.Warn("follow the store", "err", err)
	}
}

// renewed are objects as they are after some changes.
type renewed struct {
	events      []Event
	deployments []Deployment
	instances   []Instance
	heard       []heardRow
	gone        []Change
}

// readRenewed reads each object that changes name once.
func (f *fleet) readRenewed(tx Tx, changes []Change) (n renewed, err error) {
	type object struct {
		kind Kind
		id   string
	}
	seen := map[object]bool{}
	for _, c := range slices.Backward(changes) {
		if o := (object{c.Kind, c.ID}); seen[o] {
			continue
		} else {
			seen[o] = true
		}
		if c.Kind == KindHeard && c.ID == f.own() {
			continue // what it says was heard here
		}
		if err := n.read(tx, c); errors.Is(err, ErrNotFound) {
			n.gone = append(n.gone, c) // removed, here or by a later change
		} else if err != nil {
			return n, err
		}
	}
	return n, nil
}

func (n *renewed) read(tx Tx, c Change) (err error) {
	switch c.Kind {
	case KindEvent:
		n.events, err = readInto(tx, c.ID, n.events)
	case KindDeployment:
		n.deployments, err = readInto(tx, c.ID, n.deployments)
	case KindInstance:
		n.instances, err = readInto(tx, c.ID, n.instances)
	case KindHeard:
		n.heard, err = readInto(tx, c.ID, n.heard)
	}
	return err
}

func readInto[T object](tx Tx, id string, all []T) ([]T, error) {
	o, err := get[T](tx, id)
	if err != nil {
		return all, err
	}
	return append(all, o), nil
}

// apply takes in what was read. f.mu is held.
func (f *fleet) apply(n renewed) {
	for _, e := range n.events {
		f.events[e.ID] = e
	}
	for _, d := range n.deployments {
		f.deployments[d.ID] = launched{d.Title, string(d.App), d.Image != nil}
	}
	for _, i := range n.instances {
		f.put(i)
	}
	for _, row := range n.heard {
		f.hear(row)
	}
	for _, c := range n.gone {
		f.drop(c)
	}
}

func (f *fleet) put(i Instance) {
	m := f.members[i.ID]
	if m == nil {
		m = &member{}
		f.members[i.ID] = m
		f.byEvent[i.Event] = append(f.byEvent[i.Event], m)
	}
	m.take(i, f.heardAt(i.Heard))
}

func (f *fleet) drop(c Change) {
	switch c.Kind {
	case KindEvent:
		delete(f.events, c.ID)
	case KindDeployment:
		delete(f.deployments, c.ID)
	case KindHeard:
		delete(f.rows, c.ID)
	case KindInstance:
		if m := f.members[c.ID]; m != nil {
			delete(f.members, c.ID)
			f.byEvent[m.Event] = slices.DeleteFunc(f.byEvent[m.Event], func(o *member) bool { return o == m })
		}
	}
}

// readAll reads everything anew; what was heard in this process stays.
func (f *fleet) readAll(ctx context.Context) error {
	var fresh fleet
	err := f.c.store.View(ctx, func(tx Tx) (err error) {
		fresh = fleet{c: f.c, events: map[string]Event{}, deployments: map[string]launched{}, members: map[string]*member{}, byEvent: map[string][]*member{}, rows: map[string]time.Time{}}
		if fresh.seq, err = tx.Newest(); err != nil {
			return err
		}
		return errors.Join(
			each(tx, Query{}, func(e Event) { fresh.apply(renewed{events: []Event{e}}) }),
			each(tx, Query{}, func(d Deployment) { fresh.apply(renewed{deployments: []Deployment{d}}) }),
			each(tx, Query{}, fresh.put),
			each(tx, Query{}, fresh.hear))
	})
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for id, m := range fresh.members {
		if known := f.members[id]; known != nil {
			m.remember(known)
		}
	}
	for id := range fresh.rows {
		if wrote, known := f.rows[id]; known {
			fresh.rows[id] = wrote
		}
	}
	f.rows = fresh.rows
	f.events, f.deployments, f.members, f.byEvent, f.seq = fresh.events, fresh.deployments, fresh.members, fresh.byEvent, fresh.seq
	f.begin()
	return nil
}

// instance is an instance as it is kept, without its report.
func (f *fleet) instance(id string) (Instance, bool) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.members[id]
	if m == nil {
		return Instance{}, false
	}
	return m.Instance, true
}
