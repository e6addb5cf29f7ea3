package datasync

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/tree"
	"popup/internal/wire"
)

func behindOf(t *testing.T, err error) *BehindError {
	t.Helper()
	var behind *BehindError
	if !errors.As(err, &behind) || !Transient(err) || ErrorClass(err) != ClassOther || errorKind(err) != relayKind {
		t.Fatalf("got %v; want that the relay is behind", err)
	}
	return behind
}

// A relay that is behind is waited for, and not for ever.
func TestRelayThatIsBehind(t *testing.T) {
	for period, patience := range map[time.Duration]time.Duration{0: patience, 4 * time.Minute: 12 * time.Minute} {
		r := newRelayed(t, wire.Source{}, SourceOptions{})
		r.relay.config.Every = period
		r.publish()
		r.serves(viaRelay, 1)
		r.nextDay("two")
		r.publish()
		r.nextDay("three") // which the relay has not
		asked := r.origin.Requests()
		behind := behindOf(t, r.keeps())
		if string(behind.Newest) != r.repo.Head() || r.Status().RelayError == "" {
			t.Errorf("%v; want the newest in it, and in the status: %+v", behind, r.Status())
		}
		behindOf(t, r.keeps())
		if got := r.origin.Requests() - asked; got != 1 {
			t.Errorf("the origin was asked %d times within a minute; want once", got)
		}
		r.clock.advance(patience - 30*time.Second)
		behindOf(t, r.keeps())
		r.clock.advance(time.Minute)
		r.serves(viaOrigin, -1)
		if r.Status().RelayError == "" {
			t.Error("the status does not say why the relay is not used")
		}
		// When it has caught up, it is used again.
		r.publish()
		r.serves(viaRelay, 0)
		r.nextDay("four")
		r.publish()
		r.serves(viaRelay, 1)
	}
}

// One that stopped says for ever that nothing is new.
func TestRelayThatStopped(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	r.serves(viaRelay, 1)
	r.nextDay("two")
	asked := r.origin.Requests()
	if err := r.keeps(); err != nil || r.origin.Requests() != asked {
		t.Fatalf("%v; want nothing new, by the relay", err)
	}
	r.clock.advance(inspectPeriod)
	if err := r.keeps(); err != nil || r.origin.Requests() != asked+1 {
		t.Fatalf("%v; want the relay waited for, and the origin asked", err)
	}
	r.clock.advance(patience)
	r.serves(viaOrigin, -1)
}

// A fleet whose relay fails comes to the origin as slowly as it bears.
func TestRelayIsGone(t *testing.T) {
	const fleet = 10_000
	r := newRelayed(t, wire.Source{}, SourceOptions{Instance: "fair-7", Fleet: fleet})
	r.serves(viaRelay, 1)
	r.clock.advance(share(fleet))
	r.web.CloseClientConnections()
	refuse := func(w http.ResponseWriter, req *http.Request, _ string) bool {
		http.Error(w, "out of order", http.StatusBadGateway)
		return true
	}
	r.between(refuse)
	r.nextDay("two")
	asked, began := r.origin.Requests(), r.clock.Now()
	var first time.Duration
	for range 100 {
		rev, changed, err := r.Stage(t.Context())
		if changed {
			if first = r.clock.Now().Sub(began); r.Status().Via != viaOrigin || !strings.Contains(r.Status().RelayError, "502") {
				t.Errorf("%+v; want that the origin was used, and why", r.Status())
			}
			if err := r.Publish(rev); err != nil {
				t.Fatal(err)
			}
		}
		if !changed && err == nil && string(rev) != r.repo.Head() {
			t.Errorf("%s passes for the newest", rev)
		}
		r.clock.advance(time.Minute)
	}
	if turn := spread("fair-7", share(fleet)); turn < 2*time.Minute || first < turn || first > turn+2*time.Minute {
		t.Errorf("the origin was fetched from after %v; want when its turn comes, after %v", first, turn)
	}
	if polls, most := r.origin.Requests()-asked, int64(100*time.Minute/share(fleet)+3); polls > most || polls < 5 {
		t.Errorf("the origin was asked %d times in 100 minutes; want at most %d", polls, most)
	}
	r.publish()
	r.between(func(http.ResponseWriter, *http.Request, string) bool { return false })
	r.serves(viaRelay, 0)
}

// Where there never was a relay, a first boot does not wait for it.
func TestRelayThatNeverWas(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{Instance: "fair-7", Fleet: 10_000})
	r.web.Close()
	r.serves(viaOrigin, -1)
	r.origin.Answer(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusUnauthorized) })
	r.clock.advance(time.Hour)
	err := r.keeps()
	var known *git.Error
	if !errors.As(err, &known) || known.Class != git.Credentials || !strings.Contains(r.Status().RelayError, "not reached") {
		t.Errorf("%v, and of the relay %q; want both told", err, r.Status().RelayError)
	}
}

// A revision is not refused for what a relay sent, also when there is no time left to
// fetch it from the origin.
func TestRelayFaultIsNotTheRevisions(t *testing.T) {
	r := newRelayed(t, wire.Source{}, SourceOptions{})
	rev := Revision(r.repo.Head())
	ctx, stop := context.WithCancel(t.Context())
	err := r.stageUpon(ctx, r.config.Publisher, rev, func(context.Context, *aside) (*tree.Index, error) {
		stop()
		return nil, asGate(rev, GateContent, &relayFault{r.source, rev, &tree.EntryError{Name: "a", Why: "is forged"}})
	})
	if !errors.Is(err, context.Canceled) || contentFault(err) {
		t.Errorf("got %v; want that it was stopped", err)
	}
}
