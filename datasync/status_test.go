package datasync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/tree"
)

func TestErrorClass(t *testing.T) {
	ofGit := func(class git.Class) error { return fmt.Errorf("sync data: %w", &git.Error{Class: class}) }
	for _, c := range []struct {
		err         error
		class, kind string
	}{
		{nil, "", ""},
		{ofGit(git.Credentials), "auth", "credentials-refused"},
		{ofGit(git.HostKey), "auth", "host-key"},
		{ofGit(git.DNS), "dns", "dns"},
		{ofGit(git.TLS), "tls", "tls"},
		{ofGit(git.Clock), "clock", "clock"},
		{ofGit(git.RateLimited), "rate-limit", "rate-limited"},
		{ofGit(git.Unreachable), "network", "unreachable"},
		{ofGit(git.Timeout), "timeout", "timeout"},
		{ofGit(git.NotRepository), "missing", "not-a-repository"},
		{ofGit(git.NoBranch), "missing", "no-such-branch"},
		{ofGit(git.Empty), "missing", "empty-repository"},
		{ofGit(git.Moved), "moved", "moved"},
		{ofGit(git.Content), "corrupt", "content"},
		{ofGit(git.TooLarge), "gate", "too-large"},
		{ofGit(git.Other), "other", "other"},
		{ofGit("of a later day"), "other", "of a later day"},
		{&git.Error{Class: git.Other, Err: syscall.ENOSPC}, "disk", "disk"},
		{&DiskFullError{Err: syscall.EDQUOT}, "disk", "disk"},
		{fmt.Errorf("write: %w", syscall.EROFS), "disk", "disk"},
		{fmt.Errorf("read: %w", syscall.EIO), "disk", "disk"},
		{&tree.DamagedError{Path: "a"}, "corrupt", "damaged"},
		{fmt.Errorf("%w: %w", ErrMoved, ofGit(git.Content)), "moved", "moved"},
		{&GateError{"r", GateShrink, errors.New("it lost half")}, "gate", "shrink"},
		{&GateError{"r", GateEmpty, errors.New("it is empty")}, "gate", "empty"},
		{&GateError{"r", "of a later day", ofGit(git.Content)}, "gate", "of a later day"},
		{&RefusedError{Refusal{Revision: "r", Class: "shrink"}}, "gate", "refused"},
		{fmt.Errorf("check: %w", context.DeadlineExceeded), "timeout", "timeout"},
		{errors.New("the build failed"), "other", "other"},
	} {
		class, kind := ErrorClass(c.err), errorKind(c.err)
		if class != c.class || kind != c.kind {
			t.Errorf("%v is %s (%s); want %s (%s)", c.err, class, kind, c.class, c.kind)
		}
		if c.err != nil && !slices.Contains(ErrorClasses(), class) {
			t.Errorf("%s is not among the classes", class)
		}
	}
}

// TestStatusTellsAge: only what was asked for and is served counts as fresh.
func TestStatusTellsAge(t *testing.T) {
	r := newRig(t, Config{Schedule: schedule(t, "@every 10m", "", "i")})
	age := func(want time.Duration, stale bool, when string) {
		t.Helper()
		s := r.Status()
		if got := time.Duration(s.Age) * time.Second; got < want || got > want+time.Second {
			t.Errorf("%s its age is %v; want %v", when, got, want)
		}
		if s.Stale(r.clock.Now()) != stale {
			t.Errorf("%s it is stale %v at %v, confirmed %v, with %v; want %v", when, !stale, r.clock.Now(), s.Confirmed, s.StaleAt, stale)
		}
	}
	age(0, false, "before anything came")
	r.clock.advance(32 * time.Minute)
	age(0, true, "when nothing came for long")
	r.source.set(t, "one", map[string]string{"a": "1"})
	r.sync("one")
	age(0, false, "published")
	r.clock.advance(25 * time.Minute)
	age(25*time.Minute, false, "two periods later")
	r.clock.advance(7 * time.Minute)
	age(32*time.Minute, true, "three periods later")
	r.sync("one")
	age(0, false, "asked again")

	r.clock.advance(5 * time.Minute)
	r.source.set(t, "two", map[string]string{"a": "2"})
	if _, _, err := r.Stage(t.Context()); err != nil {
		t.Fatal(err)
	}
	age(5*time.Minute, false, "with news that is not served yet")
	r.Refuse("two", errors.New("it answers 500"))
	r.clock.advance(32 * time.Minute)
	r.refused(refusedKind)
	if err := r.Publish("one"); err != nil { // as a change of the other stream does
		t.Fatal(err)
	}
	age(37*time.Minute, true, "with news that was refused")
	if err := r.Hold("one"); err != nil {
		t.Fatal(err)
	}
	age(0, false, "when a person wants it")
}

// TestStatusOnWeekends: nobody looks then, so nothing was missed.
func TestStatusOnWeekends(t *testing.T) {
	s := schedule(t, "*/15 8-18 * * 1-5", "", "i")
	friday := time.Date(2026, 5, 1, 18, 46, 0, 0, time.UTC)
	status := Status{Serving: "one", Since: friday, Confirmed: friday}
	status.complete(friday.Add(48*time.Hour), friday, time.Time{}, s)
	if status.Stale(friday.Add(48 * time.Hour)) {
		t.Errorf("it is stale on Sunday: %v", status.StaleAt)
	}
	if monday := time.Date(2026, 5, 4, 8, 40, 0, 0, time.UTC); !status.Stale(monday) {
		t.Errorf("it is not stale after three tries failed on Monday: %v", status.StaleAt)
	}
	unplanned := Status{Serving: "one", Since: friday}
	unplanned.complete(friday.AddDate(1, 0, 0), friday, time.Time{}, Schedule{})
	if unplanned.Stale(friday.AddDate(1, 0, 0)) || !unplanned.NextTry.IsZero() || unplanned.Age != 365*24*3600 {
		t.Errorf("without a schedule: %+v", unplanned)
	}
}

// TestStatusTellsTheNextTry also while a failed one waits to be made again.
func TestStatusTellsTheNextTry(t *testing.T) {
	r := newRig(t, Config{Schedule: schedule(t, "@every 10m", "", "i")})
	regular := r.Status().NextTry
	sooner := r.clock.Now().Add(time.Minute)
	r.Plan(sooner)
	if got := r.Status().NextTry; !got.Equal(sooner) {
		t.Errorf("it says %v; want %v", got, sooner)
	}
	r.Plan(time.Time{})
	if got := r.Status().NextTry; !got.Equal(regular) {
		t.Errorf("it says %v; want %v", got, regular)
	}
}

// TestForgive: what was refused is tried again when a person asks for that.
func TestForgive(t *testing.T) {
	r := newRig(t, Config{})
	r.source.set(t, "one", map[string]string{"a": "1"})
	r.sync("one")
	r.source.set(t, "two", map[string]string{"a": "2"})
	if _, _, err := r.Stage(t.Context()); err != nil {
		t.Fatal(err)
	}
	r.Refuse("two", errors.New("it answers 500"))
	r.refused(refusedKind)
	if err := r.Forgive("two"); err != nil {
		t.Fatal(err)
	}
	if left := r.Status().Refused; len(left) != 0 {
		t.Errorf("refused are still %+v", left)
	}
	if err := r.publisher.Prune(nil); err != nil || !r.publisher.Has("two") {
		t.Errorf("what is about to be served was removed, %v", err)
	}
	r.sync("two")
}
