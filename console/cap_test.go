package console

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"popup/apps"
)

// capped is a launch of a notice board, which costs 0.10 USD an hour, with a cap.
func capped(cap string) LaunchRequest {
	r := fair(AppRequest{App: "notice"})
	r.Event.Cap = cap
	return r
}

// TestCapFreezesThenEnds: 2 USD are 20 hours, 10 minutes of which are kept for the end.
func TestCapFreezesThenEnds(t *testing.T) {
	l, _ := newPriced(t)
	e, all := l.launched(t, capped("2"))
	ends := aDay.Add(20*time.Hour - capKeeps)
	if !e.Capped() || !e.LastsUntil().Equal(ends) || !e.FrozenFrom().Equal(ends.Add(-defaultFreeze)) || !e.Due.Equal(aDay.Add(16*time.Hour)) {
		t.Fatalf("it lasts until %s, is frozen from %s, and due at %s", e.LastsUntil(), e.FrozenFrom(), e.Due)
	}
	w := stored[Instance](t, l.testConsole, all[0].ID).Wanted
	if w.End.At != "2026-05-02T07:50" || w.End.Zone != "UTC" || w.End.Freeze != apps.Duration(defaultFreeze) {
		t.Errorf("its instance is told %+v", *w.End)
	}
	if again, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Title: new("Spring Fair")}); err != nil || again.Meters[0] != e.Meters[0] {
		t.Errorf("counted again: %+v, %v", again.Meters, err)
	}
	l.write(t, func(tx Tx) error {
		e := e
		e.Webhook = "http://192.0.2.1/told" // where nobody is
		return put(tx, e)
	})
	l.later(t, 16*time.Hour)
	told := l.event(t, e.ID)
	checkMoney(t, "after 16 hours", told.Spent(l.now()), dollars(1_600_000))
	if text := told.Messages[len(told.Messages)-1].Text; !strings.Contains(text, "It has cost 1.60 USD, of 2.00 USD that it may. "+
		"Its cap of 2.00 USD is reached before its end: it freezes on 2 May 2026 09:40, and ends on 2 May 2026 09:50.") {
		t.Errorf("at 80 hundredths it says %q", text)
	}
	l.later(t, e.FrozenFrom().Sub(l.now()))
	frozen := l.event(t, e.ID)
	checkState(t, "before its cap", frozen.State, EventFrozen)
	checkState(t, "it says", frozen.CapSays(), "It was frozen on 2 May 2026 09:40 because of its cap of 2.00 USD, and ends on 2 May 2026 09:50. Raise the cap, and it goes on.")
	e, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Cap: new("3")})
	if err != nil {
		t.Fatal(err)
	}
	checkState(t, "with a higher cap", e.State, EventOpen)
	checkState(t, "changes in the audit log", l.audited(t, verbChange, "event/"+e.ID), 1)
	if now := stored[Instance](t, l.testConsole, all[0].ID).Wanted; now.End.At != "2026-05-02T17:50" || now.Generation <= w.Generation || now.ReadOnly {
		t.Errorf("its instance is told %+v, %+v", now, *now.End)
	}
	l.later(t, 10*time.Hour+defaultFreeze-time.Second)
	checkState(t, "a second before its end", l.event(t, e.ID).State, EventFrozen)
	l.later(t, time.Second)
	e = l.event(t, e.ID)
	checkState(t, "at its end", e.State, EventArchived)
	checkState(t, "because of its cap", e.CapReached, true)
	checkMoney(t, "in the end", e.Spent(l.now()), dollars(2_983_334))
	l.later(t, 100*time.Hour)
	checkMoney(t, "long after", l.event(t, e.ID).Spent(l.now()), dollars(2_983_334))
}

// TestCapOfWhatIsToCome is known before it begins, and the same once it runs.
func TestCapOfWhatIsToCome(t *testing.T) {
	l, paid := newPriced(t)
	paid.costs("USD", 60_000, 40_000)
	r := capped("2")
	r.Event.Start = "2026-05-10T00:00"
	e, _ := l.launched(t, r)
	ends := e.StartsAt.Add(20*time.Hour - capKeeps)
	checkState(t, "planned", e.LastsUntil(), ends.UTC())
	checkMoney(t, "planned", e.Spent(l.now()), dollars(0))
	l.later(t, e.StartsAt.Sub(l.now()))
	if e = l.event(t, e.ID); e.State != EventOpen || e.Meters[0].Coming != 0 || !e.LastsUntil().Equal(ends) {
		t.Errorf("begun it is %s and lasts until %s: %+v", e.State, e.LastsUntil(), e.Meters)
	}
}

// TestCapIsFarAway: one that is not reached changes nothing.
func TestCapIsFarAway(t *testing.T) {
	l, _ := newPriced(t)
	e, all := l.launched(t, capped("1000"))
	if e.Capped() || e.CapSays() != "" || !e.LastsUntil().Equal(e.EndsAt) || !e.FrozenFrom().Equal(e.FreezesAt) {
		t.Errorf("it lasts until %s: %s", e.LastsUntil(), e.CapSays())
	}
	if w := stored[Instance](t, l.testConsole, all[0].ID).Wanted; w.End.At != "2026-05-31" || w.End.Zone != "Europe/Berlin" {
		t.Errorf("its instance is told %+v", *w.End)
	}
	l.later(t, e.EndsAt.Sub(l.now()))
	if e = l.event(t, e.ID); e.State != EventArchived || e.CapReached {
		t.Errorf("at its end it is %s, by its cap: %v", e.State, e.CapReached)
	}
}

// TestCapRefused: what cannot be kept is refused with a sentence, and nothing is made.
func TestCapRefused(t *testing.T) {
	l, paid := newPriced(t)
	refused := func(what string, err error, field, says string) {
		t.Helper()
		var input *InputError
		if !errors.As(err, &input) || input.Fields[0].Field != field || !strings.Contains(input.Fields[0].Message, says) {
			t.Errorf("%s: %v, want %s: …%s…", what, err, field, says)
		}
	}
	for cap, says := range map[string]string{"twenty": "write it like 25 or 25.50", "-3": "write it like 25", "1,50": "write it like 25", "0": "leave it empty",
		"0.10": "it has cost 0.00 USD, and an hour of it, with what its end takes, makes that 0.12 USD; give at least that"} {
		_, err := l.Launch(t.Context(), anOwner, capped(cap), "")
		refused("a cap of "+cap, err, "event.cap", says)
		if _, preview := l.Preview(t.Context(), anOwner, capped(cap)); fmt.Sprint(preview) != fmt.Sprint(err) {
			t.Errorf("the preview says %v, and the launch %v", preview, err)
		}
	}
	free := capped("5")
	free.Cloud = "local"
	_, err := l.Launch(t.Context(), anOwner, free, "")
	refused("what is free", err, "event.cap", capsNothing)
	if all, err := l.Events(t.Context(), anOwner); err != nil || len(all) != 0 {
		t.Fatalf("%d events were made, %v", len(all), err)
	}

	e, _ := l.launched(t, capped("0.12"))
	more := LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice", Count: 5}}}
	_, err = l.Launch(t.Context(), anOwner, more, "")
	refused("too much for it", err, "event.id", "reached within an hour")
	_, err = l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Cap: new("0.05")})
	refused("less than an hour more", err, "cap", "give at least that")
	paid.costs("EUR", 1, 0)
	_, err = l.Launch(t.Context(), anOwner, more, "")
	refused("another currency", err, "event.id", "it is paid for in EUR and USD, and a cap is of one currency")
	paid.fails = errors.New("nobody knows")
	_, err = l.Launch(t.Context(), anOwner, more, "")
	refused("a price that is not known", err, "event.id", "is not known here")
	if now := l.event(t, e.ID); now.Cap != 120_000 || len(now.Meters) != 1 || now.Meters[0].Coming != 0 || len(l.instances(t, e.ID)) != 1 {
		t.Errorf("what was refused was done: %+v", now)
	}
	if e, err = l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Cap: new("")}); err != nil || e.Cap != 0 || e.Capped() {
		t.Errorf("without its cap: %+v, %v", e, err)
	}
	if _, err = l.Launch(t.Context(), anOwner, more, ""); err != nil || !l.event(t, e.ID).Unpriced {
		t.Errorf("without a cap it is not launched: %v", err)
	}
}

// TestCapOfADraft is taken before anybody knows what it is for, where something costs money.
func TestCapOfADraft(t *testing.T) {
	l, _ := newPriced(t)
	e, err := l.CreateEvent(t.Context(), anOwner, EventRequest{Title: "Later", End: "2026-05-31", Cap: "2"})
	if err != nil || e.Cap != 2_000_000 {
		t.Fatalf("%+v, %v", e, err)
	}
	if e, err = l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{Cap: new("4.5")}); err != nil || e.Cap != 4_500_000 {
		t.Fatalf("%+v, %v", e, err)
	}
	e, _ = l.launched(t, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice"}}})
	if !e.LastsUntil().Equal(aDay.Add(45*time.Hour - capKeeps)) {
		t.Errorf("launched it lasts until %s", e.LastsUntil())
	}
	poor := newLiving(t)
	if _, err := poor.CreateEvent(t.Context(), anOwner, EventRequest{Title: "Later", Cap: "2"}); err == nil || err.Error() != "cap: "+capsNothing {
		t.Errorf("where nothing costs money: %v", err)
	}
}

// TestCapCountsWhatIsAdded: what is launched later is paid from the same cap, and those
// that run already are told.
func TestCapCountsWhatIsAdded(t *testing.T) {
	l, _ := newPriced(t)
	e, all := l.launched(t, capped("2"))
	l.later(t, 10*time.Hour)
	v, err := l.Preview(t.Context(), anOwner, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice", Count: 3}}})
	if err != nil || v.Quote.Cap != "Its cap of 2.00 USD is reached before its end: it freezes on 2 May 2026 02:10, and ends on 2 May 2026 02:20. Raise the cap, or end what is not needed." {
		t.Errorf("beforehand: %q, %v", v.Quote.Cap, err)
	}
	checkState(t, "the button", v.Button, "Launch until 2 May 2026 02:20")
	hours := int64(e.EndsAt.Sub(aDay) / time.Hour)
	checkMoney(t, "what is added", v.Quote.Total, dollars((hours-10)*300_000))
	checkMoney(t, "the whole event", v.Quote.Whole, dollars(hours*100_000+(hours-10)*300_000))
	l.launched(t, LaunchRequest{Event: EventRequest{ID: e.ID}, Apps: []AppRequest{{App: "notice", Count: 3}}})
	if e = l.event(t, e.ID); !e.LastsUntil().Equal(aDay.Add(12*time.Hour + 20*time.Minute)) { // 1 USD is left, for 2:30 hours
		t.Errorf("it lasts until %s", e.LastsUntil())
	}
	if w := stored[Instance](t, l.testConsole, all[0].ID).Wanted; w.End.At != "2026-05-02T00:20" {
		t.Errorf("the first instance is told %+v", *w.End)
	}
}

// TestCapAndAClockThatJumps: it ends nothing by itself.
func TestCapAndAClockThatJumps(t *testing.T) {
	j := newJumper(t)
	paid := &pricedCloud{fakeCloud: j.cloud}
	paid.costs("USD", 100_000, 0)
	j.opts.Clouds["local"] = paid
	e, _ := j.launched(t, capped("2"))
	j.jumps(t, 20*day)
	if e = stored[Event](t, j.testConsole, e.ID); e.State != EventFrozen || e.Stuck == "" {
		t.Errorf("after the jump: %s, %q", e.State, e.Stuck)
	}
	j.jumps(t, -20*day)
	if e = stored[Event](t, j.testConsole, e.ID); e.State != EventOpen || e.Stuck != "" || !e.LastsUntil().Equal(aDay.Add(20*time.Hour-capKeeps)) {
		t.Errorf("set right: %s, %q, until %s", e.State, e.Stuck, e.LastsUntil())
	}
}
