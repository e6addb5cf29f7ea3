package console

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

// again opens the console anew on its store.
func (c *testConsole) again(t testing.TB) *testConsole {
	t.Helper()
	next, err := New(t.Context(), c.opts)
	if err != nil {
		t.Fatal(err)
	}
	return &testConsole{Console: next, cloud: c.cloud, clock: c.clock}
}

// TestHeardIsKept: a console that was started anew knows when each instance was heard
// last, takes no older report for a new one, and calls nobody silent for its own absence.
func TestHeardIsKept(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 2)
	m := machines[0].live(t)
	c.clock.advance(time.Minute)
	m.report.Seq += 41
	m.mustSay(t) // no news
	heard := c.now()
	before := c.newest(t)
	if err := c.fleet.writeHeard(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.newest(t) != before+1 {
		t.Errorf("what was heard took %d writes", c.newest(t)-before)
	}
	if err := c.fleet.writeHeard(t.Context()); err != nil || c.newest(t) != before+1 {
		t.Errorf("nothing was heard since, and written: %v", err)
	}

	c.clock.advance(time.Hour)
	c = c.again(t)
	m.c = c
	view := func() InstanceView {
		t.Helper()
		v, err := c.Instance(t.Context(), aViewer, m.id)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	if v := view(); !v.LastHeard.Equal(heard) || v.Health != HealthLive || v.LastReport == nil {
		t.Errorf("after a new start: heard %v, %s, report %v", v.LastHeard, v.Health, v.LastReport)
	}
	late := *m
	late.report.Seq -= 10
	late.report.Why = "a copy"
	if _, err := late.sayAgain(t); err != nil || !view().LastHeard.Equal(heard) {
		t.Errorf("a copy of an older report was applied: %v", err)
	}
	c.clock.advance(3*c.period() + time.Second)
	if v := view(); v.Health != HealthSilent {
		t.Errorf("it said nothing for three periods, and is %s", v.Health)
	}
	m.mustSay(t)
	if v := view(); v.Health != HealthLive {
		t.Errorf("it spoke, and is %s", v.Health)
	}
}

// TestRunWritesWhatWasHeard: every 30 s, and before it ends.
func TestRunWritesWhatWasHeard(t *testing.T) {
	c := newConsole(t, withKeys(t))
	_, machines := party(t, c, "fair", "otto", 1)
	m := machines[0].live(t)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- c.fleet.run(ctx) }()
	m.mustSay(t)
	before := c.newest(t)
	cancel()
	if err := <-done; err != nil || c.newest(t) != before+1 {
		t.Errorf("it ended with %v, and %d writes", err, c.newest(t)-before)
	}
}

func TestHeardOfTenThousandIsSmall(t *testing.T) {
	var all []hearing
	for n := range 10_000 {
		all = append(all, hearing{fmt.Sprintf("summer-fair-%07x-%d", n*7919%0xfffffff, n), aDay.Unix() + int64(n%30), uint64(aDay.UnixMilli()) + uint64(n)*7919})
	}
	packed, err := pack(slices.Clone(all))
	if err != nil {
		t.Fatal(err)
	}
	row := asJSON(t, heardRow{thisConsole, packed, 30})
	t.Logf("%d bytes", len(row))
	if len(row) > 400<<10 {
		t.Errorf("the row has %d bytes", len(row))
	}
	got, err := unpack(packed)
	slices.SortFunc(all, func(a, b hearing) int { return slices.Compare([]byte(a.instance), []byte(b.instance)) })
	if err != nil || !slices.Equal(got, all) {
		t.Errorf("unpacked it is something else: %d, %v", len(got), err)
	}
}

func FuzzUnpack(f *testing.F) {
	seed, err := pack([]hearing{{"fair-abc-1", 1777636800, 7}, {"fair-abc-2", 1777636803, 1 << 63}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(seed)
	f.Add(seed[:20])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, packed []byte) {
		all, err := unpack(packed)
		if err != nil {
			return
		}
		again, err := pack(slices.Clone(all))
		if err != nil {
			t.Fatal(err)
		}
		if back, err := unpack(again); err != nil || len(back) != len(all) {
			t.Errorf("%d of %d, %v", len(back), len(all), err)
		}
	})
}
