package console

import (
	"slices"
	"testing"
	"time"

	"popup/internal/wire"
)

// A living is a console whose reconciler is looked through by hand.
type living struct {
	*testConsole
	reconciler *reconciler
}

func newLiving(t testing.TB, change ...func(*Options)) *living {
	t.Helper()
	c := newConsole(t, change...)
	return &living{c, newReconciler(c.Console)}
}

// settle looks until nothing is due any more.
func (l *living) settle(t testing.TB) {
	t.Helper()
	for until := time.Now().Add(time.Minute); time.Now().Before(until); {
		next := l.reconciler.look(t.Context())
		l.reconciler.jobs.Wait()
		select {
		case <-l.reconciler.freed: // what it did may have made more due
			continue
		default:
		}
		if next > 0 && !l.reconciler.full {
			return
		}
	}
	t.Fatal("there is always something due")
}

// later lets time pass, as the loop would, and settles.
func (l *living) later(t testing.TB, d time.Duration) {
	t.Helper()
	l.clock.advance(d)
	l.settle(t)
}

// launched launches apps in a new event, and settles.
func (l *living) launched(t testing.TB, r LaunchRequest) (Event, []Instance) {
	t.Helper()
	o, err := l.Launch(t.Context(), anOwner, r, "")
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	return stored[Event](t, l.testConsole, o.Event), l.instances(t, o.Event)
}

func (l *living) instances(t testing.TB, event string) (all []Instance) {
	t.Helper()
	if err := l.store.View(t.Context(), func(tx Tx) (err error) { all, err = instancesOf(tx, event); return err }); err != nil {
		t.Fatal(err)
	}
	return all
}

// reports has an instance that enrolled tell something, as talk would.
func (l *living) reports(t testing.TB, id string, r wire.Report) {
	t.Helper()
	l.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, id)
		if err != nil {
			return err
		}
		if i.Enrolled.IsZero() {
			i.Enrolled = l.now()
		}
		if err := l.heard(tx, &i, &r); err != nil {
			return err
		}
		i.Report, i.Heard = &r, l.now()
		return put(tx, i)
	})
	l.settle(t)
}

// keeps has an instance's final backup verified.
func (l *living) keeps(t testing.TB, id string) {
	t.Helper()
	l.write(t, func(tx Tx) error {
		i, err := get[Instance](tx, id)
		if err != nil {
			return err
		}
		l.archived(&i, Archive{Instance: id, Name: "final.tar.zst", Final: true, Verified: l.now()})
		return put(tx, i)
	})
	l.settle(t)
}

var (
	live = wire.Report{Live: true, Healthy: true}
	over = wire.Report{End: &wire.Ending{Step: "over"}}
)

func fair(apps ...AppRequest) LaunchRequest {
	return LaunchRequest{Event: EventRequest{Title: "Spring Fair", End: "2026-05-31", Zone: "Europe/Berlin"}, Apps: apps}
}

func statesOf(all []Instance) (states []InstanceState) {
	for _, i := range all {
		states = append(states, i.State)
	}
	return states
}

func checkState[T comparable](t testing.TB, what string, is, want T) {
	t.Helper()
	if is != want {
		t.Errorf("%s: %v, want %v", what, is, want)
	}
}

// TestFromLaunchToArchive goes all the way: nothing is taken away before its final
// backup is verified, and the event is archived when the last machine is gone.
func TestFromLaunchToArchive(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}, AppRequest{App: "notice", Count: 2}))
	book, board := all[0], all[1]
	checkState(t, "event", e.State, EventOpen)
	if !slices.Equal(statesOf(all), []InstanceState{InstanceStarting, InstanceStarting, InstanceStarting}) || len(l.cloud.instances()) != 3 {
		t.Fatalf("launched: %v with the machines %v", statesOf(all), l.cloud.instances())
	}
	for _, i := range all {
		l.reports(t, i.ID, live)
	}
	operations, err := l.Operations(t.Context(), aViewer, e.Name)
	if err != nil || len(operations) != 1 || operations[0].State != OperationDone {
		t.Fatalf("operations %+v, %v", operations, err)
	}
	o, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name)
	if err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	for _, i := range l.instances(t, e.ID) {
		if i.State != InstanceEnding || !i.Wanted.Ended {
			t.Errorf("%s is %s, and wanted: %+v", i.ID, i.State, i.Wanted)
		}
	}
	l.reports(t, board.ID, over)
	if slices.Contains(l.cloud.instances(), board.ID) {
		t.Error("it said that it is over, keeps nothing, and is there still")
	}
	l.later(t, patience)
	if got := l.cloud.instances(); !slices.Equal(got, []string{book.ID}) {
		t.Fatalf("after a while these are left: %v", got)
	}
	e = stored[Event](t, l.testConsole, e.ID)
	checkState(t, "event", e.State, EventEnded)
	if e.Stuck == "" || stored[Operation](t, l.testConsole, o.ID).State != OperationRunning {
		t.Errorf("its backup does not come, and it says %q", e.Stuck)
	}
	l.keeps(t, book.ID)
	if len(l.cloud.instances()) != 1 {
		t.Error("it was taken away before its last words")
	}
	l.reports(t, book.ID, over)
	e = stored[Event](t, l.testConsole, e.ID)
	if e.State != EventArchived || e.Stuck != "" || len(l.cloud.instances()) != 0 || !e.PurgeAt.Equal(l.now().Add(defaultPurge)) {
		t.Errorf("%s, stuck: %q, machines %v, purged at %s", e.State, e.Stuck, l.cloud.instances(), e.PurgeAt)
	}
	checkState(t, "operation", stored[Operation](t, l.testConsole, o.ID).State, OperationDone)
	l.checkReceipt(t, e, "Archived as final.tar.zst, read back and verified.")
	l.later(t, defaultPurge)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventPurged)
	if err := VerifyAudit(t.Context(), l.store); err != nil {
		t.Error(err)
	}
}

// checkReceipt says whether the receipt tells that all is gone, and what became of the
// first instance's state.
func (l *living) checkReceipt(t testing.TB, e Event, state string) {
	t.Helper()
	receipt, err := l.Receipt(t.Context(), anOwner, e.Name)
	if err != nil || len(receipt.Instances) == 0 {
		t.Fatalf("receipt: %+v, %v", receipt, err)
	}
	for k, line := range receipt.Instances {
		if !line.Gone || k == 0 && line.State != state {
			t.Errorf("receipt of %s: gone %v, %s", line.Instance.ID, line.Gone, line.State)
		}
		if line.Instance.TokenHash != nil || line.Instance.Nonce != nil {
			t.Error("the receipt tells what a token is made of")
		}
	}
}

func TestDiscardByName(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	l.reports(t, id, live)
	if err := l.DiscardState(t.Context(), anOwner, id, id); err == nil {
		t.Error("it was given up while it is live")
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.later(t, 100*24*time.Hour)
	if len(l.cloud.instances()) != 1 {
		t.Fatal("it was taken away without its backup")
	}
	for _, a := range []Actor{aStranger, aViewer, anOrganiser} {
		if err := l.DiscardState(t.Context(), a, id, id); err == nil {
			t.Errorf("%s gave it up", a.Name)
		}
	}
	if err := l.DiscardState(t.Context(), anOwner, id, "yes"); err == nil {
		t.Error("it was given up without its name")
	}
	if err := l.DiscardState(t.Context(), anOwner, id, id); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	l.checkReceipt(t, e, "Given up by name, and lost.")
}

// TestVerdict is the table of when a machine may be taken away.
func TestVerdict(t *testing.T) {
	withState, without, noSettings := deploymentsForTests(t)
	at := func(d time.Duration) time.Time { return aDay.Add(d) }
	ended := Instance{State: InstanceEnding, Ended: aDay, Created: aDay.Add(-time.Hour), Launched: aDay.Add(-time.Hour)}
	with := func(change func(*Instance)) Instance { i := ended; change(&i); return i }
	enrolled := with(func(i *Instance) { i.Enrolled = aDay })
	wasLive := with(func(i *Instance) { i.Enrolled, i.LiveSince = aDay, aDay })
	for name, c := range map[string]struct {
		i    Instance
		d    Deployment
		now  time.Time
		take bool
		why  bool
	}{
		"no state, live, at once":         {wasLive, without, at(0), false, false},
		"no state, live, later":           {wasLive, without, at(sayGoodbye), true, false},
		"no state, over":                  {with(func(i *Instance) { i.Enrolled, i.Report = aDay, &over }), without, at(0), true, false},
		"no state, off":                   {with(func(i *Instance) { i.Enrolled, i.Stopped = aDay, aDay }), without, at(0), true, false},
		"no state, never enrolled":        {ended, without, at(0), true, false},
		"state, never enrolled":           {ended, withState, at(0), true, false},
		"state, no settings, no word":     {ended, noSettings, at(0), false, false},
		"state, no settings, never a one": {ended, noSettings, at(patience), false, true},
		"state, enrolled":                 {enrolled, withState, at(0), false, false},
		"state, enrolled, never live":     {enrolled, withState, at(mayBeLive), true, false},
		"state, live":                     {wasLive, withState, at(mayBeLive), false, false},
		"state, live, long ago":           {wasLive, withState, at(1000 * day), false, true},
		"state, live, off":                {with(func(i *Instance) { i.Enrolled, i.LiveSince, i.Stopped = aDay, aDay, aDay }), withState, at(0), false, true},
		"state, over, no archive":         {with(func(i *Instance) { i.LiveSince, i.Report = aDay, &over }), withState, at(1000 * day), false, true},
		"state, archived":                 {with(func(i *Instance) { i.LiveSince, i.Archive = aDay, &Archive{Verified: aDay} }), withState, at(0), false, false},
		"state, archived, a moment ago":   {with(func(i *Instance) { i.LiveSince, i.Archive = aDay, &Archive{Verified: aDay} }), withState, at(lastWords), true, false},
		"state, archived, over":           {with(func(i *Instance) { i.LiveSince, i.Archive, i.Report = aDay, &Archive{Verified: aDay}, &over }), withState, at(0), true, false},
		"state, given up":                 {with(func(i *Instance) { i.LiveSince, i.Discarded = aDay, "olga" }), withState, at(0), true, false},
	} {
		v := c.i.verdict(c.d, judged{aDay.Add(-2 * time.Hour), c.now})
		if v.Take != c.take || (v.Why != "") != c.why || !v.Take && v.Again <= 0 {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

// deploymentsForTests are one with state, one without, and one with state that takes no settings.
func deploymentsForTests(t *testing.T) (withState, without, noSettings Deployment) {
	t.Helper()
	all := appsForTests(t)
	withState.Plan.Manifest, without.Plan.Manifest = all["guestbook"].Manifest, all["notice"].Manifest
	noSettings = withState
	noSettings.Plan.Manifest.Env = nil
	return withState, without, noSettings
}
