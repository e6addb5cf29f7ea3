//go:build cluster

package cluster

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"popup/internal/testutil"
	"popup/web/api"
)

// An operation is one write or read of a register: the title of an event.
type operation struct {
	register string
	value    string // that was written, or read
	writes   bool
	unknown  bool // a write without an answer, which may happen at any time
	call     time.Time
	done     time.Time
}

// A history is what was asked of registers at all consoles, and answered.
type history struct {
	t      *testing.T
	names  []string
	values atomic.Int64

	mu    sync.Mutex
	all   []operation
	acked []time.Time // of writes
	said  map[string]int
}

// registers makes so many.
func registers(t *testing.T, at *console, count int) *history {
	t.Helper()
	h := &history{t: t, said: map[string]int{}}
	for i := range count {
		name := fmt.Sprintf("register-%d", i)
		must(t, at.owner.Ask(t.Context(), testutil.Ask{Method: "POST", Path: "/events", In: map[string]any{"name": name, "title": "first", "end": "7d"}}))
		h.names = append(h.names, name)
	}
	return h
}

// use reads and writes at one console until ctx ends, a pause apart.
func (h *history) use(ctx context.Context, c *console, pause time.Duration) {
	for {
		o := operation{register: h.names[rand.N(len(h.names))], writes: rand.N(2) == 0, call: time.Now()}
		var err error
		if o.writes {
			o.value = fmt.Sprintf("value %d", h.values.Add(1)) // each is written once
			err = c.owner.Ask(context.WithoutCancel(ctx), testutil.Ask{Method: "PATCH", Path: "/events/" + o.register, In: map[string]any{"title": o.value}})
		} else {
			var event struct{ Title string }
			err = c.owner.Ask(context.WithoutCancel(ctx), testutil.Ask{Method: "GET", Path: "/events/" + o.register, Out: &event})
			o.value = event.Title
		}
		o.done = time.Now()
		h.note(o, err)
		select {
		case <-time.After(pause/2 + rand.N(pause)):
		case <-ctx.Done():
			return
		}
	}
}

func (h *history) note(o operation, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.said[cause(err)]++
		if no(err) != 0 {
			h.t.Errorf("%s: %v", o.register, err)
		}
		if !o.writes {
			return
		}
		o.unknown = true
	} else if o.writes {
		h.acked = append(h.acked, o.done)
	}
	h.all = append(h.all, o)
}

// cause is an error without what differs from one to the next.
func cause(err error) string {
	if refused := new(testutil.Refusal); errors.As(err, &refused) {
		var problem api.Problem
		_ = json.Unmarshal([]byte(refused.Text), &problem) // else it is no sentence of ours
		return fmt.Sprintf("%d: %s", refused.Status, problem.Detail)
	}
	for inner := errors.Unwrap(err); inner != nil; inner = errors.Unwrap(err) {
		err = inner
	}
	return err.Error()
}

// gap is the longest time without an acknowledged write in a span of time, and how long
// after the span's begin that began.
func (h *history) gap(from, to time.Time) (longest, after time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last := from
	see := func(at time.Time) {
		if gap := at.Sub(last); gap > longest {
			longest, after = gap, last.Sub(from)
		}
		last = at
	}
	for _, at := range h.acked { // in order
		if at.After(from) && at.Before(to) {
			see(at)
		}
	}
	see(to)
	return longest.Round(time.Millisecond), after.Round(time.Millisecond)
}

// register is what each of them has to look like to all.
var register = porcupine.Model{
	Init: func() any { return "first" },
	Step: func(state, input, _ any) (bool, any) {
		o := input.(operation)
		return o.writes || o.value == state, o.value
	},
}

// linearizable holds the history against one register each that all look at.
func (h *history) linearizable(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	of := map[string][]porcupine.Operation{}
	for _, o := range h.decided() {
		of[o.register] = append(of[o.register], porcupine.Operation{Input: o, Call: o.call.UnixNano(), Return: o.done.UnixNano()})
	}
	for _, name := range h.names {
		verdict := porcupine.CheckOperationsTimeout(register, of[name], time.Minute)
		t.Logf("%s: %d reads and writes, linearizable: %s", name, len(of[name]), verdict)
		if verdict != porcupine.Ok {
			t.Errorf("%s is not one register", name)
		}
	}
}

// decided leaves out the writes without an answer that nobody ever read: they did not
// happen, or something was written over them before anybody looked. One that was read had
// happened by then. So nothing is left that may happen at any time, which would take too
// long to check.
func (h *history) decided() (all []operation) {
	read := map[string]time.Time{} // when a value was first read
	for _, o := range h.all {
		if at, found := read[o.value]; !o.writes && (!found || o.done.Before(at)) {
			read[o.value] = o.done
		}
	}
	for _, o := range h.all {
		if o.unknown {
			at, found := read[o.value]
			if !found {
				continue
			}
			o.done = at
		}
		all = append(all, o)
	}
	slices.SortFunc(all, func(a, b operation) int { return cmp.Or(a.call.Compare(b.call), a.done.Compare(b.done)) })
	return all
}

// counts says how many writes were acknowledged, and how many have no answer.
func (h *history) counts() (acknowledged, unknown int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, o := range h.all {
		if o.unknown {
			unknown++
		}
	}
	return len(h.acked), unknown
}

// TestHistoriesAreJudged: a register that forgets, or tells what is old, is found out.
func TestHistoriesAreJudged(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	write := func(value string, call, done int) operation {
		return operation{register: "r", value: value, writes: true, call: at(call), done: at(done)}
	}
	read := func(value string, call, done int) operation {
		return operation{register: "r", value: value, call: at(call), done: at(done)}
	}
	lost := func(o operation) operation { o.unknown = true; return o }
	for name, c := range map[string]struct {
		all  []operation
		want bool
	}{
		"it is as it was":          {[]operation{read("first", 1, 2)}, true},
		"it is what was written":   {[]operation{write("a", 1, 2), read("a", 3, 4)}, true},
		"it was forgotten":         {[]operation{write("a", 1, 2), read("first", 3, 4)}, false},
		"it went back":             {[]operation{write("a", 1, 6), read("a", 2, 3), read("first", 4, 5)}, false},
		"nobody wrote it":          {[]operation{read("b", 1, 2)}, false},
		"an answer was lost":       {[]operation{lost(write("a", 1, 2)), read("first", 3, 4), read("a", 5, 6)}, true},
		"and it never happened":    {[]operation{lost(write("a", 1, 2)), read("first", 3, 4)}, true},
		"and it was taken back":    {[]operation{lost(write("a", 1, 2)), read("a", 3, 4), read("first", 5, 6)}, false},
		"two write at once":        {[]operation{write("a", 1, 4), write("b", 2, 5), read("a", 6, 7)}, true},
		"the first one comes late": {[]operation{write("a", 1, 2), write("b", 3, 4), read("a", 6, 7)}, false},
	} {
		h := &history{all: c.all}
		var ops []porcupine.Operation
		for _, o := range h.decided() {
			ops = append(ops, porcupine.Operation{Input: o, Call: o.call.Unix(), Return: o.done.Unix()})
		}
		if got := porcupine.CheckOperations(register, ops); got != c.want {
			t.Errorf("%s: linearizable is %v", name, got)
		}
	}
}
