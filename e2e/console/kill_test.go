package console

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
)

// mostLive bounds how many instances run at once, as real processes of this machine.
const mostLive = 4

// mostTokens are made: a person may have 50.
const mostTokens = 45

// A launched is one event with one app, and what was acknowledged of it.
type launched struct {
	name      string // of the event, and the key of its launch
	operation operation
	ended     bool // its end was acknowledged
	over      bool // it was seen to be archived
}

type operation struct {
	ID, Event string
	Instances []string
}

// A torture is a console that is killed again and again while somebody uses it.
type torture struct {
	testing.TB
	dir      string
	owner    *person
	number   int
	asked    *launched   // a launch that was not acknowledged: it is asked for again
	launched []*launched // acknowledged, in order
	known    []known     // what else was acknowledged
	repeated int         // launches that were asked for again with their key
	kills    int
	tokens   int
	killIn   func(time.Duration)
}

// A known is something that has to be there: a path of the API, a word of its answer,
// and the token to ask with; empty: the owner's.
type known struct{ path, word, token string }

// TestKill kills a console KILLS times at random moments while events are launched and
// ended, and people, tokens and drafts made. Whatever was acknowledged is there
// afterwards, once; and each instance that is wanted is one process of this machine.
func TestKill(t *testing.T) {
	o := &torture{TB: t, dir: filepath.Join(filepath.Dir(program), t.Name())} // others may enter that, as apps must
	r := start(t, o.dir, anyPort, -1)
	t.Cleanup(o.endProcesses)
	o.owner = claim(t, r)
	for range count(t, "KILLS", 5) {
		ctx, cancel := context.WithCancel(t.Context())
		kill := time.AfterFunc(rand.N(2*time.Second), func() { r.End(syscall.SIGKILL) }) // until then it must not end
		o.killIn = func(d time.Duration) { kill.Reset(d) }
		done := make(chan error)
		go func() { done <- o.use(ctx) }()
		<-r.Done()
		cancel()
		err := <-done
		kill.Stop()
		if refused := new(testutil.Refusal); r.Ended().Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL || errors.As(err, &refused) {
			t.Fatalf("after %d kills: %v, %v\n%s", o.kills, r.Ended(), err, r.Log())
		}
		o.kills++
		r = start(t, o.dir, strings.TrimPrefix(r.url, "http://"), -1) // where its instances look for it
		o.acknowledged()
		o.processes() // none is doubled
	}
	t.Logf("%d kills: %d launches acknowledged, %d of them ended, %d asked for again by their key; %d drafts, people and tokens", o.kills, len(o.launched), o.countEnded(), o.repeated, len(o.known))
	o.settle(r)
	r.End(syscall.SIGTERM)
	o.audited()
}

func (o *torture) countEnded() (n int) {
	for _, l := range o.launched {
		if l.ended {
			n++
		}
	}
	return n
}

// use does one thing after the other until it is not answered. The error is a
// *testutil.Refusal where it was, with a no.
func (o *torture) use(ctx context.Context) error {
	for {
		if err := o.step(ctx); err != nil {
			return err
		}
	}
}

func (o *torture) step(ctx context.Context) error {
	if o.asked != nil {
		o.repeated++
		return o.launch(ctx)
	}
	live := slices.DeleteFunc(slices.Clone(o.launched), func(l *launched) bool { return l.over })
	o.number++
	name := fmt.Sprintf("party-%d", o.number)
	what := rand.N(30) // the rest launches and ends
	if what == 2 && o.tokens == mostTokens {
		what = 0
	}
	switch what {
	case 0:
		var e struct{ ID string }
		err := o.owner.Ask(ctx, testutil.Ask{Method: "POST", Path: "/events", In: map[string]any{"name": name, "title": "A party", "end": "7d"}, Out: &e})
		return o.note(err, known{"/events/" + name, e.ID, ""})
	case 1:
		err := o.owner.Ask(ctx, testutil.Ask{Method: "POST", Path: "/people", In: map[string]any{"name": name, "role": "organiser"}})
		return o.note(err, known{"/people", `"` + name + `"`, ""})
	case 2:
		o.tokens++
		var added struct{ Secret string }
		err := o.owner.Ask(ctx, testutil.Ask{Method: "POST", Path: "/login", In: map[string]any{"name": testutil.Owner, "password": testutil.Password, "title": name}, Out: &added})
		return o.note(err, known{"/me", `"` + testutil.Owner + `"`, added.Secret})
	}
	if len(live) < mostLive {
		o.asked = &launched{name: name}
		return o.launch(ctx)
	}
	return o.end(ctx, live)
}

func (o *torture) note(err error, k known) error {
	if err == nil {
		o.known = append(o.known, k)
	}
	return err
}

// soon is within which most kills come after a launch or an end was asked for.
const soon = 100 * time.Millisecond

func (o *torture) maybeSoon() {
	if o.killIn != nil && rand.N(3) > 0 {
		o.killIn(rand.N(soon))
	}
}

// launch asks for what is in asked, by its key.
func (o *torture) launch(ctx context.Context) error {
	o.maybeSoon()
	l := o.asked
	in := map[string]any{"event": map[string]any{"name": l.name, "title": "A party", "end": "7d"}, "apps": []any{map[string]any{"app": "notice"}}}
	if err := o.owner.Ask(ctx, testutil.Ask{Method: "POST", Path: "/launches", Key: l.name, In: in, Out: &l.operation}); err != nil {
		return err
	}
	o.asked, o.launched = nil, append(o.launched, l)
	return nil
}

// end ends the oldest event that runs, or looks whether those that were ended are over.
func (o *torture) end(ctx context.Context, live []*launched) error {
	goOn := slices.DeleteFunc(slices.Clone(live), func(l *launched) bool { return l.ended })
	for _, l := range live {
		if !l.ended && len(goOn) <= mostLive/2 {
			continue // some go on
		}
		if !l.ended {
			o.maybeSoon()
			err := o.owner.Ask(ctx, testutil.Ask{Method: "POST", Path: "/events/" + l.name + "/end", In: map[string]any{"name": l.name}})
			// The end may have been written down by a console that was killed before it said so.
			if refused := new(testutil.Refusal); errors.As(err, &refused) && refused.Status == 409 {
				err = nil
			}
			l.ended = err == nil
			return err
		}
		var e struct{ State string }
		if err := o.owner.Ask(ctx, testutil.Ask{Method: "GET", Path: "/events/" + l.name, Out: &e}); err != nil {
			return err
		}
		l.over = e.State == "archived"
	}
	select {
	case <-time.After(20 * time.Millisecond):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
