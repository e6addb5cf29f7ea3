package console

import (
	"context"
	"fmt"
	"time"
)

// A Quote is what a launch costs until its event ends. Without lines it is free of
// charge, but for what is not known.
type Quote struct {
	Lines   []QuoteLine
	Total   []Money   // of Lines, by currency
	AsOf    time.Time // of the oldest table that a price is from
	Unknown []string  // sentences on apps whose price is not known; they are not in Total
	// Whole is what the event will have cost by its end, with what it has cost so far;
	// empty: it is the same as Total.
	Whole []Money
	// Cap is what becomes of the event because of its cap: a sentence; empty: nothing. It
	// costs at most Most then.
	Cap  string
	Most *Money
}

// A QuoteLine is one part of what an app costs.
type QuoteLine struct {
	Title string // of its deployment
	What  string
	Hour  Money
	Count int
	For   time.Duration
	Total Money
}

// price writes into a launch what its apps cost. Its error is an *InputError.
func (c *Console) price(ctx context.Context, p *prepared) error {
	for i := range p.deployments {
		p.deployments[i].Price = c.rate(ctx, p.event, p.deployments[i])
	}
	var w wrong
	e := c.with(*p)
	e.checkCap(capField(p.isNew), c.now(), &w)
	return w.err()
}

// capField is how a launch names the cap: an event that is there has one already.
func capField(isNew bool) string {
	if isNew {
		return "event.cap"
	}
	return "event.id"
}

// with is the event of a launch as if that was done.
func (c *Console) with(p prepared) Event {
	e, now := p.event, c.now()
	e.Meters = append([]Meter(nil), e.Meters...)
	for _, d := range p.deployments {
		switch {
		case d.Price == nil:
		case d.Price.Unknown != "":
			e.Unpriced = true
		default:
			m := e.meter(d.Price.Currency, now)
			m.comes(added(times(d.Price.machine(), int64(d.Count)), d.Price.stays()), latest(e.StartsAt, now))
		}
	}
	return e
}

// launchCapped counts what a launch adds to its event. Its error is an *InputError where
// the event's cap does not allow that any more.
func (c *Console) launchCapped(tx Tx, e *Event, p prepared) error {
	if err := c.recount(tx, e); err != nil {
		return err
	}
	var w wrong
	e.checkCap(capField(p.isNew), c.now(), &w)
	return w.err()
}

// quote says what a launch costs.
func (c *Console) quote(p prepared) (q Quote) {
	alone, begins := p, latest(p.event.StartsAt, c.now())
	alone.event.Meters = nil
	q.Total = c.with(alone).expected(p.event.EndsAt)
	for _, d := range p.deployments {
		switch {
		case d.Price == nil:
			continue
		case d.Price.Unknown != "":
			q.Unknown = append(q.Unknown, fmt.Sprintf("What %s costs is not known: %s", d.Title, d.Price.Unknown))
			continue
		}
		if at := d.Price.AsOf; q.AsOf.IsZero() || at.Before(q.AsOf) {
			q.AsOf = at
		}
		for _, l := range d.Price.Lines {
			line := QuoteLine{Title: d.Title, What: l.What, Hour: Money{d.Price.Currency, l.Hour}, Count: d.Count, For: p.event.EndsAt.Sub(begins)}
			if l.Stays {
				line.Count = 1
			}
			m := Meter{Currency: d.Price.Currency}
			line.Total = m.money(times(times(l.Hour, int64(line.Count)), seconds(begins, p.event.EndsAt)))
			q.Lines = append(q.Lines, line)
		}
	}
	e := c.with(p)
	if q.Cap = e.CapSays(); q.Cap != "" {
		q.Most = e.CapAmount()
	}
	if len(p.event.Meters) > 0 {
		q.Whole = e.expected(p.event.EndsAt)
	}
	return q
}
