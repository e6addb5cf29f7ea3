package console

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"popup/internal/wire"
)

// news is a report that the store is to know.
type news struct {
	instance string
	report   wire.Report
	at       time.Time     // when it came in
	done     chan struct{} // closed when it is kept, or was not
	err      error         // after done
}

// A newsroom writes down what many report at once in one transaction: whoever comes
// while another writes waits for its turn, and the first of those writes for all.
type newsroom struct {
	turn    chan struct{} // holds one while somebody writes
	mu      sync.Mutex
	waiting []*news
}

// mostKept bounds how many reports are in one transaction, so that others get their turn.
const mostKept = 256

// keepTime bounds one such transaction. It is nobody's alone: whose request is given up
// does not give up those of others.
const keepTime = 30 * time.Second

// keep writes a report's news down. When it returns nil they are in the store, and
// whoever is asked for the fleet knows of them.
func (c *Console) keep(ctx context.Context, n *news) error {
	n.done = make(chan struct{})
	room := &c.fleet.newsroom
	room.mu.Lock()
	room.waiting = append(room.waiting, n)
	room.mu.Unlock()
	for {
		select {
		case <-n.done:
			return n.err
		case <-ctx.Done():
			return fmt.Errorf("keep the report of %s: %w", n.instance, ctx.Err())
		case room.turn <- struct{}{}:
			c.keepAll(context.WithoutCancel(ctx), room.take())
			<-room.turn
		}
	}
}

// take takes those that waited longest.
func (room *newsroom) take() []*news {
	room.mu.Lock()
	defer room.mu.Unlock()
	batch := room.waiting[:min(len(room.waiting), mostKept)]
	room.waiting = room.waiting[len(batch):]
	if len(room.waiting) == 0 {
		room.waiting = nil
	}
	return batch
}

func (c *Console) keepAll(ctx context.Context, batch []*news) {
	if len(batch) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, keepTime)
	defer cancel()
	err := c.store.Update(ctx, func(tx Tx) error {
		for _, n := range batch {
			n.err = nil
			if err := c.keepOne(tx, n); errors.Is(err, ErrNotFound) {
				n.err = ErrOver // it was removed meanwhile
			} else if err != nil {
				return fmt.Errorf("keep the report of %s: %w", n.instance, err)
			}
		}
		return nil
	})
	if err == nil {
		c.fleet.refresh(ctx)
	}
	for _, n := range batch {
		n.err = errors.Join(err, n.err)
		close(n.done)
	}
}

// keepOne takes a report into its instance, unless a newer one was.
func (c *Console) keepOne(tx Tx, n *news) error {
	i, err := get[Instance](tx, n.instance)
	if err != nil {
		return err
	}
	if i.Report != nil && i.Report.Seq >= n.report.Seq {
		return nil
	}
	for _, result := range n.report.Results {
		i.answered(result)
	}
	if err := c.heard(tx, &i, &n.report); err != nil {
		return err
	}
	if isAhead(n.report, i) {
		e, err := get[Event](tx, i.Event)
		if err != nil {
			return err
		}
		i.Wanted = wantedOf(e, i)
		i.Wanted.Generation = n.report.Generation + 1
	}
	i.Report, i.Heard = &n.report, n.at
	return put(tx, i)
}
