package console

import (
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/wire"
)

// TestClocksApart lives an event on two consoles whose clocks are ten minutes apart: what is
// written down as now at one is now at the other, and dates come when they would have, also
// where the one that leads is lost before.
func TestClocksApart(t *testing.T) {
	for name, skew := range map[string]time.Duration{"the one that leads first is ahead": apart, "the one that leads first is behind": -apart} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				all := newCluster(t, map[string]time.Duration{"first": skew, "second": -skew})
				first, second := all["first"], all["second"]
				first.start(t)
				time.Sleep(3 * time.Second)
				second.start(t)
				time.Sleep(3 * time.Second)
				if by := second.now().Sub(first.now()); by.Abs() > leastSkew {
					t.Fatalf("the second is by %s ahead of the first, which leads", by)
				}
				lifeOnTwo(t, first, second)
				peopleOnTwo(t, first, second)
			})
		})
	}
}

func lifeOnTwo(t *testing.T, first, second *mate) {
	state := func(what string, m *mate, id string, want EventState) {
		t.Helper()
		if e := stored[Event](t, m.testConsole, id); e.State != want {
			t.Errorf("%s the event is %s, want %s: %s", what, e.State, want, e.Stuck)
		}
	}
	o, err := second.Launch(t.Context(), anOwner, fair(AppRequest{App: "guestbook"}), "")
	if err != nil {
		t.Fatal(err)
	}
	time.Sleep(2 * time.Second)
	i := stored[Instance](t, second.testConsole, o.Instances[0])
	checkState(t, "a moment after it was launched at the other one, it", i.State, InstanceStarting)
	m := &machine{c: second.testConsole, id: i.ID, token: second.token(i), key: newKey(t), report: wire.Report{Version: 1, Since: aDay, URL: "http://" + i.ID + ".test"}}
	m.mustEnrol(t)
	m.c = first.testConsole
	m.report.Live, m.report.Healthy = true, true
	m.mustSay(t)

	soon := first.now().Truncate(time.Minute).Add(4 * time.Minute)
	freeze, end, zone := soon.Format(planTime), soon.Add(3*time.Minute).Format(planTime), "UTC"
	if _, err := second.ChangeEvent(t.Context(), anOwner, o.Event, EventChange{Freeze: &freeze, End: &end, Zone: &zone}); err != nil {
		t.Fatal(err)
	}
	until := func(at time.Time) { time.Sleep(at.Sub(first.now())) }
	until(soon.Add(-time.Minute - heardEvery - time.Second))
	m.mustSay(t) // at the first
	until(soon.Add(-time.Minute))
	state("before it is frozen", first, o.Event, EventOpen)
	checkState(t, "health at the second", second.health(t, i.ID), HealthLive)
	lost := first.now()
	left := time.Now()
	first.valve.cut(errCutOff, errCutOff)
	then := func(at time.Time) { time.Sleep(at.Sub(lost) - time.Since(left)) } // by the clock that went on
	then(soon.Add(-10 * time.Second))
	if is := leaseOf(t, second.valve.Store); is.Holder != "second" {
		t.Errorf("%s leads", is.Holder)
	}
	state("a moment before it is frozen, at the one that took over,", second, o.Event, EventOpen)
	then(soon.Add(10 * time.Second))
	state("a moment after", second, o.Event, EventFrozen)
	m.c = second.testConsole
	m.mustSay(t)
	first.valve.cut(nil, nil)
	then(soon.Add(3*time.Minute - 20*time.Second))
	state("a moment before its end", first, o.Event, EventFrozen)
	then(soon.Add(3*time.Minute + 20*time.Second))
	state("a moment after its end", first, o.Event, EventEnded)
	if n := len(first.cloud.instances()); n != 1 {
		t.Errorf("before its final backup came there are %d machines", n)
	}
	m.c = first.testConsole
	m.report.End = &wire.Ending{Step: "over"}
	m.mustSay(t)
	first.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, i.ID)
		first.archived(&i, Archive{Instance: i.ID, Name: "final.tar.zst", Final: true, Verified: first.now()})
		return errors.Join(err, put(tx, i))
	})
	time.Sleep(2 * lastWords)
	state("with its backup", second, o.Event, EventArchived)
	if got := first.cloud.terminated; len(first.cloud.launches) != 1 || len(got) != 1 || got[0] != i.ID {
		t.Errorf("launched were %d, and ended %v", len(first.cloud.launches), got)
	}
}

func peopleOnTwo(t *testing.T, first, second *mate) {
	_, link, err := first.AddPerson(t.Context(), anOwner, NewPerson{Name: "otto", Role: RoleOrganiser})
	if err != nil {
		t.Fatal(err)
	}
	s, err := second.Join(t.Context(), secretOf(t, link, "join"), "seven eight nine")
	if err != nil {
		t.Fatal(err)
	}
	otto, err := first.ActorOfSession(t.Context(), s.Secret)
	if err != nil {
		t.Fatal(err)
	}
	_, token, err := first.AddToken(t.Context(), otto, NewToken{Title: "a script", Days: 1})
	if err != nil {
		t.Fatal(err)
	}
	again, err := second.SignIn(t.Context(), "otto", "seven eight nine", "192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for who, c := range map[string]*mate{"first": first, "second": second} {
		if a, err := c.ActorOfToken(t.Context(), token); err != nil || a.ID != otto.ID {
			t.Errorf("the %s takes the token for %v, %v", who, a, err)
		}
		if a, err := c.ActorOfSession(t.Context(), again.Secret); err != nil || a.ID != otto.ID {
			t.Errorf("the %s takes the session for %v, %v", who, a, err)
		}
	}
	if err := first.SignOut(t.Context(), again.Secret); err != nil {
		t.Fatal(err)
	}
	if _, err := second.ActorOfSession(t.Context(), again.Secret); !errors.Is(err, ErrSignIn) {
		t.Errorf("signed out at the first, and at the second: %v", err)
	}
}

// TestSkew: what is near is followed, what is far is not, and who leads comes back to its own.
// TestTheFleetsClockJumps: whoever takes over from a console whose clock jumped doubts the
// time that it goes on with. That the first one it follows has another clock is no jump.
func TestTheFleetsClockJumps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newCluster(t, map[string]time.Duration{"b": 0})["b"]
		b.start(t)
		is := lease{Holder: "a", Term: 1}
		doubts := func(ahead time.Duration, want bool) {
			t.Helper()
			for range 20 {
				is.Beat, is.Clock = is.Beat+1, b.opts.Now().Add(ahead).UnixMilli()
				b.write(t, func(tx Tx) error { return put(tx, is) })
				time.Sleep(beatEvery)
			}
			if why := b.Console.clock.doubt(); (why != "") != want || b.now().Sub(b.opts.Now()).Round(time.Second) != ahead {
				t.Errorf("behind one that is %s ahead it is %s ahead, and doubts that: %q", ahead, b.now().Sub(b.opts.Now()), why)
			}
		}
		doubts(10*time.Minute, false)
		doubts(0, false)
		doubts(mostJump+time.Minute, true)
		time.Sleep(2 * standsFor)
		b.holder(t, 0, "b", 2)
		if why := b.Console.clock.doubt(); why == "" {
			t.Error("it leads, and believes the clock that it goes on with")
		}
	})
}

func TestSkew(t *testing.T) {
	own := aDay
	s := &skew{own: func() time.Time { return own }, log: slog.New(slog.DiscardHandler)}
	for _, step := range []struct {
		what string
		do   func()
		by   time.Duration
	}{
		{"a moment", func() { s.follow(own.Add(leastSkew)) }, leastSkew},
		{"heard of late", func() { s.follow(own.Add(-leastSkew)) }, leastSkew},
		{"heard of in time", func() { s.follow(own.Add(leastSkew)) }, leastSkew},
		{"heard of late, but for one", func() {
			for i := range enoughBeats - 1 {
				s.follow(own.Add(-time.Duration(i) * time.Second / 4))
			}
		}, leastSkew},
		{"and once more", func() { s.follow(own.Add(-leastSkew)) }, 0},
		{"ahead", func() { s.follow(own.Add(mostSkew)) }, mostSkew},
		{"behind", func() { s.follow(own.Add(-mostSkew)) }, -mostSkew},
		{"too far", func() { s.follow(own.Add(mostSkew + 1)) }, 0},
		{"ahead again", func() { s.follow(own.Add(time.Minute)) }, time.Minute},
		{"it leads for a while", func() { s.settle(10 * time.Minute) }, 30 * time.Second},
		{"and longer", func() { s.settle(time.Hour) }, 0},
		{"behind", func() { s.follow(own.Add(-time.Minute)) }, -time.Minute},
		{"it leads for a while", func() { s.settle(10 * time.Minute) }, -30 * time.Second},
		{"and longer", func() { s.settle(time.Hour) }, 0},
		{"it is behind what was", func() { s.reach(own.Add(time.Minute)) }, time.Minute},
		{"it is not", func() { s.reach(own.Add(-time.Hour)) }, time.Minute},
		{"what was is nonsense", func() { s.reach(own.Add(day)) }, time.Minute},
	} {
		if step.do(); s.now().Sub(own) != step.by {
			t.Errorf("%s: it is %s ahead, want %s", step.what, s.now().Sub(own), step.by)
		}
	}
}
