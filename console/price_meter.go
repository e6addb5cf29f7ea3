package console

import (
	"slices"
	"time"
)

// A Meter is what an event costs in one currency: what was spent by At, and what an hour
// from then on costs, for as long as the same runs.
type Meter struct {
	Currency string    `json:"currency"`
	At       time.Time `json:"at"`    // a whole second
	Spent    int64     `json:"spent"` // in shares, of which 3600 are a millionth: a millionth an hour, for a second
	Hour     int64     `json:"hour"`  // millionths
	// Coming is what an hour costs of what is yet to be launched, from Comes on.
	Coming int64     `json:"coming,omitempty"`
	Comes  time.Time `json:"comes,omitzero"`
}

const (
	shares = 3600
	// leastBilled is what clouds bill at least of a machine that ran.
	leastBilled = 60
)

// seconds are those from a moment to another, each that began; none where that is before it.
func seconds(from, to time.Time) int64 {
	return max(0, ceilSecond(to).Unix()-from.Unix())
}

func ceilSecond(t time.Time) time.Time { return t.Add(time.Second - 1).Truncate(time.Second) }

// spent is what a meter has counted at a moment, in shares.
func (m Meter) spent(at time.Time) int64 {
	return max(0, added(m.Spent, times(m.Hour, ceilSecond(at).Unix()-m.At.Unix())))
}

// expected is spent, with what is yet to be launched until then.
func (m Meter) expected(at time.Time) int64 {
	sum := m.spent(at)
	if m.Coming > 0 {
		sum = added(sum, times(m.Coming, seconds(m.Comes, at)))
	}
	return sum
}

// money is an amount of shares, rounded up to a millionth.
func (m Meter) money(sum int64) Money {
	return Money{m.Currency, sum/shares + min(1, sum%shares)}
}

// reaches is the first second at which that much is expected to be spent; zero: never, by
// what runs and what is to come. It is the same whenever it is read, while the same runs.
func (m Meter) reaches(sum int64) time.Time {
	const never = 100 * 366 * 24 * 3600
	after := int64(never)
	if m.Hour > 0 {
		after = upTo(added(sum, -m.Spent), m.Hour)
	} else if m.Spent >= sum {
		after = 0
	}
	if comes := m.Comes.Unix() - m.At.Unix(); m.Coming > 0 && after > comes {
		after = upTo(added(added(sum, -m.Spent), times(m.Coming, comes)), added(m.Hour, m.Coming))
	}
	if after >= never {
		return time.Time{}
	}
	return m.At.Add(time.Duration(max(after, -never)) * time.Second)
}

// upTo is a/b, rounded up; b is positive.
func upTo(a, b int64) int64 {
	n := a / b
	if a%b > 0 {
		n++
	}
	return n
}

// Spent is what an event has cost so far, by currency; empty: nothing of it costs money.
func (e Event) Spent(now time.Time) (all []Money) {
	for _, m := range e.Meters {
		all = append(all, m.money(m.spent(now)))
	}
	return all
}

// expected is what it will have cost at a moment.
func (e Event) expected(at time.Time) (all []Money) {
	for _, m := range e.Meters {
		all = append(all, m.money(m.expected(at)))
	}
	return all
}

// count brings an event's meters up to date with its instances. Once it is archived they stand.
func (c *Console) count(tx Tx, e *Event) error {
	runs := func(m Meter) bool { return m.Hour > 0 }
	if e.State.Over() && e.State != EventEnded && !slices.ContainsFunc(e.Meters, runs) {
		return nil
	}
	deployments, err := list[Deployment](tx, Query{Parent: e.ID})
	if err != nil {
		return err
	}
	e.Meters, e.Unpriced = nil, false
	for _, d := range deployments {
		switch {
		case d.Price == nil:
		case d.Price.Unknown != "":
			e.Unpriced = true
		default:
			all, err := instancesIn(tx, d)
			if err != nil {
				return err
			}
			e.meter(d.Price.Currency, c.now()).add(*e, *d.Price, all)
		}
	}
	return nil
}

// meter is an event's of a currency.
func (e *Event) meter(currency string, now time.Time) *Meter {
	k := slices.IndexFunc(e.Meters, func(m Meter) bool { return m.Currency >= currency })
	if k < 0 {
		k = len(e.Meters)
	}
	if k == len(e.Meters) || e.Meters[k].Currency != currency {
		e.Meters = slices.Insert(e.Meters, k, Meter{Currency: currency, At: ceilSecond(now)})
	}
	return &e.Meters[k]
}

// add counts the instances of a deployment.
func (m *Meter) add(e Event, r Rate, all []Instance) {
	machine, stays := r.machine(), r.stays()
	var first, next time.Time
	for _, i := range all {
		if !i.Launched.IsZero() && (first.IsZero() || i.Launched.Before(first)) {
			first = i.Launched
		}
		switch {
		case i.Launched.IsZero() && (i.State.Over() || i.State == InstanceEnding):
		case i.Launched.IsZero():
			next = latest(e.StartsAt, i.Created, i.Due)
			m.comes(machine, next)
		case i.State.Over():
			m.Spent = added(m.Spent, times(machine, max(leastBilled, seconds(i.Launched, i.Gone))))
		default:
			m.Spent = added(m.Spent, times(machine, seconds(i.Launched, m.At)))
			m.Hour = added(m.Hour, machine)
		}
	}
	switch {
	case !first.IsZero():
		m.Spent = added(m.Spent, times(stays, seconds(first, m.At)))
		if !e.State.Over() || e.State == EventEnded {
			m.Hour = added(m.Hour, stays)
		}
	case !next.IsZero():
		m.comes(stays, next)
	}
}

// comes notes what is yet to be launched.
func (m *Meter) comes(hour int64, at time.Time) {
	if m.Coming == 0 || at.Before(m.Comes) {
		m.Comes = at.Truncate(time.Second)
	}
	m.Coming = added(m.Coming, hour)
}

func latest(all ...time.Time) (last time.Time) {
	for _, t := range all {
		if t.After(last) {
			last = t
		}
	}
	return last
}
