package console

import (
	"fmt"
	"time"
)

const (
	// capKeeps is how long an event's machines are paid for after its end: the final
	// backups take their time.
	capKeeps = patience
	// leastCapped is how long a cap has to last at least.
	leastCapped = time.Hour
	mostCapped  = 80 // hundredths of a cap, of which its owner is reminded
)

// capped is what an event may cost; false: as much as it does.
func (e Event) capped() (Meter, bool) {
	if e.Cap == 0 || len(e.Meters) != 1 {
		return Meter{}, false
	}
	return e.Meters[0], true
}

// CapAmount is what an event may cost; nil: as much as it does.
func (e Event) CapAmount() *Money {
	if e.Cap == 0 {
		return nil
	}
	m := Money{Millionths: e.Cap}
	if len(e.Meters) == 1 {
		m.Currency = e.Meters[0].Currency
	}
	return &m
}

// CapEndsAt is when an event has to end so that it does not cost more than its cap; zero:
// what runs never costs as much. It is in whole minutes, as plans are.
func (e Event) CapEndsAt() time.Time {
	m, ok := e.capped()
	if !ok {
		return time.Time{}
	}
	keeps := times(added(m.Hour, m.Coming), int64(capKeeps/time.Second))
	return m.reaches(added(times(e.Cap, shares), -keeps)).Truncate(time.Minute)
}

// Capped says that an event's cap is reached before its end.
func (e Event) Capped() bool {
	ends := e.CapEndsAt()
	return !ends.IsZero() && ends.Before(e.EndsAt) && !e.State.Over()
}

// LastsUntil is when an event ends: at its end, or sooner because of its cap.
func (e Event) LastsUntil() time.Time {
	if e.Capped() {
		return e.CapEndsAt()
	}
	return e.EndsAt
}

// FrozenFrom is when an event freezes by itself.
func (e Event) FrozenFrom() time.Time {
	before := e.EndsAt.Sub(e.FreezesAt)
	if !e.Capped() {
		return e.FreezesAt
	}
	if sooner := e.CapEndsAt().Add(-min(before, defaultFreeze)); sooner.Before(e.FreezesAt) {
		return sooner
	}
	return e.FreezesAt
}

// capWarnsAt is when most of an event's cap is spent; zero: never.
func (e Event) capWarnsAt() time.Time {
	m, ok := e.capped()
	if !ok {
		return time.Time{}
	}
	return m.reaches(times(e.Cap/100*mostCapped, shares))
}

// CapSays is what an event's pages and messages say of its cap; empty: it is not reached.
func (e Event) CapSays() string {
	switch {
	case !e.Capped():
		return ""
	case e.State == EventFrozen && e.Held == "":
		return fmt.Sprintf("It was frozen on %s because of its cap of %s, and ends on %s. Raise the cap, and it goes on.",
			e.spoken(e.FrozenFrom()), e.CapAmount(), e.spoken(e.LastsUntil()))
	}
	return fmt.Sprintf("Its cap of %s is reached before its end: it freezes on %s, and ends on %s. Raise the cap, or end what is not needed.",
		e.CapAmount(), e.spoken(e.FrozenFrom()), e.spoken(e.LastsUntil()))
}

// spoken is a moment as people say it, where the event is.
func (e Event) spoken(t time.Time) string {
	zone, err := time.LoadLocation(e.Zone)
	if err != nil {
		zone = time.UTC
	}
	return t.In(zone).Format(spokenTime)
}

// capsNothing says why there is no cap.
const capsNothing = "nothing of it costs money, as far as this console knows; leave it empty"

// recount counts what an event costs, and has its instances told where its cap is reached
// at another moment than before.
func (c *Console) recount(tx Tx, e *Event) error {
	until, from := e.LastsUntil(), e.FrozenFrom()
	err := c.count(tx, e)
	if err == nil && !(e.LastsUntil().Equal(until) && e.FrozenFrom().Equal(from)) {
		err = c.wantAll(tx, *e)
	}
	return err
}

// amountOf is a cap as it is typed; empty: none.
func amountOf(cap int64) string {
	if cap == 0 {
		return ""
	}
	return Money{Millionths: cap}.Exact()
}

// changeCap applies a change of an event's cap; nil: as it is. What is wrong is noted.
func (c *Console) changeCap(tx Tx, e *Event, cap *string, w *wrong) error {
	if cap == nil || *cap == amountOf(e.Cap) {
		return nil
	}
	e.setCap(*cap, w)
	if err := c.count(tx, e); err != nil {
		return err
	}
	if e.State == EventDraft && len(e.Meters) == 0 && c.Charges() {
		return nil // what it is for is yet to be launched
	}
	e.checkCap("cap", c.now(), w)
	return nil
}

// setCap reads a cap; empty: none.
func (e *Event) setCap(text string, w *wrong) {
	e.Cap = 0
	if text == "" {
		return
	}
	amount, err := parseAmount(text)
	switch {
	case err != nil:
		w.add("cap", err.Error())
	case amount == 0:
		w.add("cap", "with nothing to spend nothing runs; leave it empty, and there is no cap")
	default:
		e.Cap = amount
	}
}

// checkCap notes why an event's cap cannot be kept.
func (e Event) checkCap(field string, now time.Time, w *wrong) {
	if e.Cap == 0 {
		return
	}
	switch {
	case e.Unpriced:
		w.add(field, "what one of its apps costs is not known here, so that no cap can be kept; leave it empty, or have the console started with a price table that knows it")
		return
	case len(e.Meters) == 0:
		w.add(field, capsNothing)
		return
	case len(e.Meters) > 1:
		w.add(field, fmt.Sprintf("it is paid for in %s and %s, and a cap is of one currency; leave it empty, or make an event for each", e.Meters[0].Currency, e.Meters[1].Currency))
		return
	}
	from := later(e.StartsAt, now)
	lasts := from.Add(leastCapped)
	if e.EndsAt.Before(lasts) {
		lasts = e.EndsAt
	}
	if ends := e.CapEndsAt(); !ends.IsZero() && ends.Before(lasts.Truncate(time.Minute)) {
		least := e.Meters[0].money(e.Meters[0].expected(lasts.Add(capKeeps)))
		w.add(field, fmt.Sprintf("it would be reached within an hour: it has cost %s, and an hour of it, with what its end takes, makes that %s; give at least that",
			e.Spent(now)[0], least))
	}
}
