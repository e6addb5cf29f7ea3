package console

import (
	"errors"
	"math/big"
	"math/rand/v2"
	"testing"
	"time"
)

// TestMeterIsTheSum of what each instance cost by itself, whenever it is read, and by
// whichever meter; and it says when an amount is reached.
func TestMeterIsTheSum(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	moment := func() time.Time { return aDay.Add(rand64(random, 1000*time.Hour)) }
	for range 300 {
		rate := Rate{Price: Price{Currency: "USD", Lines: []PriceLine{{Hour: random.Int64N(1_000_000) + 1}, {Hour: random.Int64N(5_000)}, {Hour: random.Int64N(1000), Stays: true}}}}
		now := aDay.Add(1000 * time.Hour).Add(rand64(random, time.Second))
		later := now.Add(rand64(random, 1000*time.Hour))
		var all []Instance
		var first time.Time
		for range random.IntN(6) + 1 {
			i := Instance{State: InstanceLive, Launched: moment()}
			if first.IsZero() || i.Launched.Before(first) {
				first = i.Launched
			}
			if random.IntN(2) == 0 {
				i.State, i.Gone = []InstanceState{InstanceGone, InstanceLost}[random.IntN(2)], i.Launched.Add(rand64(random, 100*time.Second))
			}
			all = append(all, i)
		}
		all = append(all, Instance{State: InstanceFailed}, Instance{State: InstancePlanned, Created: now.Add(rand64(random, time.Hour))})
		read := func(at time.Time) Meter {
			m := Meter{Currency: "USD", At: ceilSecond(at)}
			m.add(Event{State: EventOpen}, rate, all)
			return m
		}
		sum := new(big.Int)
		add := func(hour, secs int64) { sum.Add(sum, new(big.Int).Mul(big.NewInt(hour), big.NewInt(secs))) }
		for _, i := range all {
			switch i.State {
			case InstanceLive:
				add(rate.machine(), ceilSecond(later).Unix()-i.Launched.Unix())
			case InstanceGone, InstanceLost:
				add(rate.machine(), max(60, ceilSecond(i.Gone).Unix()-i.Launched.Unix()))
			}
		}
		add(rate.stays(), ceilSecond(later).Unix()-first.Unix())
		soon, late := read(now), read(later)
		if soon.spent(later) != late.spent(later) || !sum.IsInt64() || late.spent(later) != sum.Int64() {
			t.Fatalf("read at %s it is %d, at %s %d, and the sum is %s", now, soon.spent(later), later, late.spent(later), sum)
		}
		want := late.expected(later) + random.Int64N(1_000_000_000)
		at := soon.reaches(want)
		if at.IsZero() || soon.expected(at) < want || soon.expected(at.Add(-time.Second)) >= want || !late.reaches(want).Equal(at) {
			t.Fatalf("%d is reached at %s by %+v, and at %s by %+v", want, at, soon, late.reaches(want), late)
		}
	}
}

func rand64(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most)))
}

// TestReaches at the edges: nothing runs, all of it is to come, it was passed long ago,
// and numbers that no event has.
func TestReaches(t *testing.T) {
	const most = 1<<63 - 1
	for name, c := range map[string]struct {
		meter Meter
		sum   int64
		want  time.Duration // after At; -1: never
	}{
		"nothing runs":          {Meter{Spent: 10}, 11, -1},
		"nothing runs any more": {Meter{Spent: 10}, 10, 0},
		"to the second":         {Meter{Spent: 10, Hour: 5}, 20, 2 * time.Second},
		"within a second":       {Meter{Spent: 10, Hour: 5}, 21, 3 * time.Second},
		"long ago":              {Meter{Spent: 100, Hour: 5}, 50, -10 * time.Second},
		"of what is to come":    {Meter{Coming: 5, Comes: aDay.Add(time.Minute)}, 10, time.Minute + 2*time.Second},
		"before that":           {Meter{Hour: 1, Coming: 5, Comes: aDay.Add(time.Minute)}, 10, 10 * time.Second},
		"of both":               {Meter{Hour: 1, Coming: 5, Comes: aDay.Add(time.Minute)}, 72, time.Minute + 2*time.Second},
		"it should be there":    {Meter{Hour: 1, Coming: 1, Comes: aDay.Add(-10 * time.Second)}, 30, 10 * time.Second},
		"in a thousand years":   {Meter{Hour: 1}, 400 * 366 * 24 * 3600, -1},
		"all there is":          {Meter{Spent: most, Hour: most, Coming: most, Comes: aDay}, most, 0},
	} {
		c.meter.At = aDay
		at := c.meter.reaches(c.sum)
		if c.want < 0 && at.IsZero() && c.want == -1 || at.Equal(aDay.Add(c.want)) {
			continue
		}
		t.Errorf("%s: %s, want %s after %s", name, at, c.want, aDay)
	}
	full := Meter{Spent: most, Hour: most, At: aDay}
	if full.spent(aDay.Add(time.Hour)) != most || full.spent(aDay.Add(-time.Hour)) != 0 {
		t.Error("more than there is, is not the most there is")
	}
}

// TestCostsOfALostAnswer: a machine costs from when its cloud launched it, however late that is heard of.
func TestCostsOfALostAnswer(t *testing.T) {
	l, paid := newPriced(t)
	o, err := l.Launch(t.Context(), anOwner, fair(AppRequest{App: "notice"}), "")
	if err != nil {
		t.Fatal(err)
	}
	id := o.Instances[0]
	paid.change(func(f *fakeCloud) {
		f.machines[id] = Machine{Instance: id, ID: "m", State: MachineRunning, Launched: aDay.Add(time.Minute)}
		f.fails = func(string, string) error { return errors.New("no answer") }
	})
	l.settle(t)
	l.later(t, time.Hour)
	checkMoney(t, "while nothing is known of it", l.event(t, o.Event).Spent(l.now()), dollars(0))
	paid.change(func(f *fakeCloud) { f.fails = nil })
	l.later(t, time.Hour+time.Minute)
	checkMoney(t, "two hours after it was launched", l.event(t, o.Event).Spent(l.now()), dollars(200_000))
}

// TestCostsOfALife: an event that is extended, an instance that is lost and replaced, a
// volume that stays, apps in two currencies, and a newer table. It is the same after a kill.
func TestCostsOfALife(t *testing.T) {
	l, paid := newPriced(t)
	paid.costs("USD", 3_600, 36)
	e, all := l.launched(t, fair(AppRequest{App: "notice"}))
	paid.costs("EUR", 7_200, 0) // what is launched later
	l.launched(t, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice"}}})
	free := LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice"}}, Cloud: "local"}
	l.launched(t, free)
	l.later(t, time.Hour)
	euros := func(n int64) Money { return Money{"EUR", n} }
	checkMoney(t, "after an hour", l.event(t, e.ID).Spent(l.now()), euros(7_200), dollars(3_636))
	paid.change(func(f *fakeCloud) { delete(f.machines, all[0].ID) })
	for range 10 {
		l.later(t, pollPending)
	}
	var by Instance
	for _, i := range l.instances(t, e.ID) {
		if i.Replaces == all[0].ID {
			by = i
		}
	}
	lost := stored[Instance](t, l.testConsole, all[0].ID)
	if lost.State != InstanceLost || by.Launched.IsZero() {
		t.Fatalf("it is %s, and replaced by %q", lost.State, by.ID)
	}
	gap := int64(by.Launched.Sub(lost.Gone) / time.Second)
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{End: new("2026-06-07")}); err != nil {
		t.Fatal(err)
	}
	l.later(t, aDay.Add(10*time.Hour).Sub(l.now()))
	e = l.event(t, e.ID)
	checkMoney(t, "after 10 hours", e.Spent(l.now()), euros(72_000), dollars(36_360-gap))
	l.reconciler = newReconciler(l.Console) // as after a kill
	l.settle(t)
	again, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Title: new("Fair")})
	if err != nil {
		t.Fatal(err)
	}
	checkMoney(t, "counted again", again.Spent(l.now()), euros(72_000), dollars(36_360-gap))
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Cap: new("5")}); faults(err) != "cap" {
		t.Errorf("a cap of two currencies: %v", err)
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	l.later(t, 24*time.Hour)
	checkState(t, "ended", l.event(t, e.ID).State, EventArchived)
	checkMoney(t, "ended", l.event(t, e.ID).Spent(l.now()), euros(72_000), dollars(36_360-gap))
	l.later(t, defaultPurge)
	checkState(t, "a month later", l.event(t, e.ID).State, EventPurged)
	checkMoney(t, "a month later", l.event(t, e.ID).Spent(l.now()), euros(72_000), dollars(36_360-gap))
}
