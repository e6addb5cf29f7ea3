package console

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"popup/userdata"
)

// A handCloud has a person turn its machines off.
type handCloud struct {
	*fakeCloud
	off []string
}

func (f *handCloud) Paste(_ context.Context, instance string) ([]byte, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l := slices.IndexFunc(f.launches, func(l Launch) bool { return l.Instance == instance })
	return f.launches[l].UserData, f.failure("paste", instance)
}

func (f *handCloud) Confirm(_ context.Context, instance string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.off = append(f.off, instance)
	if m, there := f.machines[instance]; there {
		m.State = MachineStopped
		f.machines[instance] = m
	}
	return f.failure("confirm", instance)
}

func (f *handCloud) Terminate(ctx context.Context, instance string) error {
	if !slices.Contains(f.off, instance) {
		return errors.New("only a person can turn it off")
	}
	return f.fakeCloud.Terminate(ctx, instance)
}

func newByHand(t *testing.T) (*living, *handCloud) {
	l := newLiving(t)
	f := &handCloud{fakeCloud: l.cloud}
	l.opts.Clouds["local"] = f
	return l, f
}

// TestPaste: who manages an event is shown what to start its machines with, and that is
// written down; nobody is once one enrolled.
func TestPaste(t *testing.T) {
	l, _ := newByHand(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice", Count: 2}))
	id := all[0].ID
	for _, a := range []Actor{aStranger, aViewer, anOrganiser} {
		if text, err := l.Paste(t.Context(), a, id); err == nil || text != nil {
			t.Errorf("%s was shown %q", a.Name, text)
		}
	}
	if l.audited(t, "show user-data", "instance/"+id) != 0 {
		t.Error("it is written down that it was shown to somebody who was refused")
	}
	text, err := l.Paste(t.Context(), anOwner, id)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := userdata.Read(text)
	if err != nil || plan.Instance != id || plan.Console.Token == "" || l.audited(t, "show user-data", "instance/"+id) != 1 {
		t.Errorf("it is shown the plan of %s, %v", plan.Instance, err)
	}
	m := &machine{c: l.testConsole, id: id, token: plan.Console.Token, key: newKey(t)}
	m.mustEnrol(t)
	view, err := l.Instance(t.Context(), anOwner, id)
	if _, pasted := l.Paste(t.Context(), anOwner, id); !errors.As(pasted, new(*ConflictError)) || err != nil || view.Hand != (Handwork{Confirm: true, Replace: true}) {
		t.Errorf("once it enrolled: %v, and there is to do %+v, %v", pasted, view.Hand, err)
	}
	l.ends(t, e)
	if _, err := l.Paste(t.Context(), anOwner, all[1].ID); !errors.As(err, new(*ConflictError)) {
		t.Errorf("once it is to end: %v", err)
	}
}

// TestConfirmed: what says that it is over is taken to have turned itself off; of any
// other a person says so.
func TestConfirmed(t *testing.T) {
	l, f := newByHand(t)
	e, all := l.launched(t, fair(AppRequest{App: "notice", Count: 2}))
	by, silent := all[0].ID, all[1].ID
	l.reports(t, by, live)
	l.reports(t, silent, live)
	e = l.ends(t, e)
	l.reports(t, by, over)
	if got := f.instances(); !slices.Equal(got, []string{silent}) || !slices.Equal(f.off, []string{by}) {
		t.Errorf("left are %v; %v are confirmed", got, f.off)
	}
	l.later(t, sayGoodbye)
	if i := stored[Instance](t, l.testConsole, silent); i.State != InstanceEnding || !strings.Contains(i.Failure, "only a person can turn it off") {
		t.Errorf("it is %s: %s", i.State, i.Failure)
	}
	for _, a := range []Actor{aStranger, aViewer, anOrganiser} {
		if err := l.ConfirmOff(t.Context(), a, silent); err == nil {
			t.Errorf("%s said that it is off", a.Name)
		}
	}
	if err := l.ConfirmOff(t.Context(), anOwner, silent); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
	checkState(t, "event", stored[Event](t, l.testConsole, e.ID).State, EventArchived)
	if err := l.ConfirmOff(t.Context(), anOwner, silent); !errors.Is(err, ErrOver) || l.audited(t, "confirm off", "instance/"+silent) != 1 {
		t.Errorf("said once more: %v", err)
	}
}

// TestConfirmedWithoutItsArchive: that a machine is off takes no state away.
func TestConfirmedWithoutItsArchive(t *testing.T) {
	l, f := newByHand(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	l.reports(t, all[0].ID, live)
	if err := l.ConfirmOff(t.Context(), anOwner, all[0].ID); err != nil {
		t.Fatal(err)
	}
	e = l.ends(t, e)
	l.later(t, patience)
	if len(f.instances()) != 1 || !strings.Contains(stored[Event](t, l.testConsole, e.ID).Stuck, "its machine is off, and its final backup did not come") {
		t.Errorf("left are %v", f.instances())
	}
}

// TestNothingByHand: there is nothing to be done where a cloud does all by itself.
func TestNothingByHand(t *testing.T) {
	l := newLiving(t)
	_, all := l.launched(t, fair(AppRequest{App: "notice"}))
	_, pasted := l.Paste(t.Context(), anOwner, all[0].ID)
	if err := l.ConfirmOff(t.Context(), anOwner, all[0].ID); !errors.Is(err, errNoHand) || !errors.Is(pasted, errNoHand) {
		t.Errorf("%v, %v", pasted, err)
	}
	if view, err := l.Instance(t.Context(), anOwner, all[0].ID); err != nil || view.Hand != (Handwork{Replace: true}) {
		t.Errorf("there is to do %+v, %v", view.Hand, err)
	}
}
