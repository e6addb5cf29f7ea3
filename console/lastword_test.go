package console

import (
	"slices"
	"testing"
	"time"

	"popup/internal/wire"
)

// An instance whose clock came first sent its final backup; then its event was extended
// and visitors wrote on. When it ends after all, that first backup is not its last word.
func TestArchiveBeforeAnExtensionIsNotTheLast(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	l.reports(t, id, live)
	l.sends(t, id, "first.tar.zst")
	later := e.EndsAt.Add(48 * time.Hour).Format(time.DateOnly)
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{End: &later}); err != nil {
		t.Fatal(err)
	}
	if _, err := l.EndEvent(t.Context(), anOwner, e.ID, e.Name); err != nil {
		t.Fatal(err)
	}
	l.later(t, 10*patience)
	if !slices.Contains(l.cloud.instances(), id) {
		t.Fatal("it was taken away with the backup from before the extension")
	}
	l.sends(t, id, "last.tar.zst")
	l.reports(t, id, wire.Report{End: &wire.Ending{Step: stepOver, Archive: "last.tar.zst"}})
	if slices.Contains(l.cloud.instances(), id) {
		t.Error("its last backup is there, and it is still there")
	}
	l.checkReceipt(t, stored[Event](t, l.testConsole, e.ID), "Archived as last.tar.zst, read back and verified.")
}

// An instance that was over before it heard of the extension stays over: what it says it
// was over with is its last word.
func TestArchiveOfWhatIsOverStaysTheLast(t *testing.T) {
	l := newLiving(t)
	e, all := l.launched(t, fair(AppRequest{App: "guestbook"}))
	id := all[0].ID
	l.reports(t, id, live)
	l.sends(t, id, "first.tar.zst")
	later := e.EndsAt.Add(48 * time.Hour).Format(time.DateOnly)
	if _, err := l.ChangeEvent(t.Context(), anOwner, e.ID, EventChange{End: &later}); err != nil {
		t.Fatal(err)
	}
	if stored[Instance](t, l.testConsole, id).Archive != nil {
		t.Error("it may write again, and is archived for good")
	}
	l.reports(t, id, wire.Report{End: &wire.Ending{Step: stepOver, Archive: "first.tar.zst"}})
	if a := stored[Instance](t, l.testConsole, id).Archive; a == nil || a.Name != "first.tar.zst" {
		t.Errorf("it is over with an archive, and what counts is %+v", a)
	}
}

// sends puts a final backup into the vault, as PutArchive notes it.
func (l *living) sends(t testing.TB, id, name string) {
	t.Helper()
	a := Archive{Instance: id, Name: name, SHA256: name, Final: true, Taken: l.now(), Verified: l.now()}
	if _, err := l.noteArchive(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	l.settle(t)
}
