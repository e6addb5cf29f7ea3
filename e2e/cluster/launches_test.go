//go:build cluster

package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// A launched is one event with one app, and what was answered of it.
type launched struct {
	name      string // of the event, and the key of its launch
	answers   []porcupine.Operation
	operation string // its id, once it was acknowledged
	instances []string
	at        time.Time // when it was acknowledged
	ending    bool      // its end was acknowledged
}

// Launches are asked for at any console, and again by their key until they are answered.
type launches struct {
	person   *person
	consoles []*console

	mu    sync.Mutex
	all   []*launched
	again int // asked for again
}

// use launches events, and ends the oldest when there are too many, until ctx ends.
func (l *launches) use(ctx context.Context, t *testing.T, pause time.Duration) {
	const most = 6 // go on at once
	for i := 0; ctx.Err() == nil; i++ {
		one := &launched{name: fmt.Sprintf("party-%d", i)}
		if !l.launch(ctx, t, one) {
			return
		}
		l.mu.Lock()
		l.all = append(l.all, one)
		var oldest *launched
		if on := slices.DeleteFunc(slices.Clone(l.all), func(o *launched) bool { return o.ending }); len(on) > most {
			oldest = on[0]
		}
		l.mu.Unlock()
		if oldest != nil {
			l.end(ctx, t, oldest)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

func (l *launches) anywhere() *console { return l.consoles[rand.N(len(l.consoles))] }

// launch asks until there is an answer, and once more.
func (l *launches) launch(ctx context.Context, t *testing.T, one *launched) bool {
	in := map[string]any{"event": map[string]any{"name": one.name, "title": "A party", "end": "7d"}, "apps": []any{map[string]any{"app": "notice"}}}
	for asked := 0; one.operation == "" || len(one.answers) < 2; asked++ {
		var o struct {
			ID        string
			Instances []string
		}
		call := time.Now()
		err := l.ask(ctx, l.anywhere(), ask{method: "POST", path: "/launches", key: one.name, in: in, out: &o})
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			one.operation, one.instances, one.at = o.ID, o.Instances, time.Now()
			one.answers = append(one.answers, porcupine.Operation{Input: one.name, Output: o.ID, Call: call.UnixNano(), Return: time.Now().UnixNano()})
			continue
		}
		l.refused(t, "launch "+one.name, err)
		l.again++
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// end asks until the event is ending, also when the scene is over: what was asked and not
// answered may have happened, and would be taken for one that was lost.
func (l *launches) end(ctx context.Context, t *testing.T, one *launched) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
	defer cancel()
	for ctx.Err() == nil {
		err := l.ask(ctx, l.anywhere(), ask{method: "POST", path: "/events/" + one.name + "/end", in: map[string]any{"name": one.name}})
		// An end without an answer may have been written down.
		if refused := new(refusal); err == nil || errors.As(err, &refused) && refused.status == 409 {
			l.mu.Lock()
			one.ending = true
			l.mu.Unlock()
			return
		}
		l.refused(t, "end "+one.name, err)
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// refused holds what is no answer against what a console may say while it has no leader.
func (l *launches) refused(t *testing.T, what string, err error) {
	if refused := new(refusal); errors.As(err, &refused) && refused.status < 500 {
		t.Errorf("%s: %v", what, err)
	}
}

func (l *launches) ask(ctx context.Context, c *console, a ask) error {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	return l.person.ask(ctx, c, a)
}

// once is what a launch has to look like: whoever asks by the same key is told of the same.
var once = porcupine.Model{
	Init: func() any { return "" },
	Step: func(state, _, output any) (bool, any) { return state == "" || state == output, output },
}

// linearizable holds each launch against that.
func (l *launches) linearizable(t *testing.T) {
	t.Helper()
	answers := 0
	for _, one := range l.all {
		answers += len(one.answers)
		if !porcupine.CheckOperations(once, one.answers) {
			t.Errorf("the launch of %s was answered differently: %+v", one.name, one.answers)
		}
	}
	t.Logf("%d launches, of %d answers, linearizable; %d times asked for again", len(l.all), answers, l.again)
}
