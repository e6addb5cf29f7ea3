//go:build cluster

package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"popup/internal/testutil"
)

// A launched is one event with one app, and what was answered of it.
type launched struct {
	name      string // of the event, and the key of its launch
	answers   []porcupine.Operation
	instances []string
	at        time.Time // when it was acknowledged
	ending    bool      // its end was acknowledged
}

// Launches are asked for at any console, and again by their key until they are answered.
type launches struct {
	consoles []*console

	all   []*launched
	asked int
}

// use launches events, and ends the oldest when there are too many, until there are enough.
// What was asked by then is seen through: without an answer it may have happened, and would
// be taken for one that was lost.
func (l *launches) use(ctx context.Context, enough <-chan struct{}, pause time.Duration) error {
	const most = 6 // go on at once
	for i := 0; ; i++ {
		if err := l.launch(ctx, &launched{name: fmt.Sprintf("party-%d", i)}); err != nil {
			return err
		}
		if on := slices.DeleteFunc(slices.Clone(l.all), func(o *launched) bool { return o.ending }); len(on) > most {
			if err := l.end(ctx, on[0]); err != nil {
				return err
			}
		}
		select {
		case <-time.After(pause):
		case <-enough:
			return nil
		}
	}
}

func (l *launches) anywhere() *console {
	l.asked++
	return l.consoles[rand.N(len(l.consoles))]
}

// launch asks until there is an answer, and once more.
func (l *launches) launch(ctx context.Context, one *launched) error {
	in := map[string]any{"event": map[string]any{"name": one.name, "title": "A party", "end": "7d"}, "apps": []any{map[string]any{"app": "notice"}}}
	for range 2 {
		var o struct {
			ID        string
			Instances []string
		}
		call := time.Now()
		if err := insist(ctx, l.anywhere, testutil.Ask{Method: "POST", Path: "/launches", Key: one.name, In: in, Out: &o}); err != nil {
			return fmt.Errorf("launch %s: %w", one.name, err)
		}
		if len(one.answers) == 0 {
			l.all = append(l.all, one)
		}
		one.instances, one.at = o.Instances, time.Now()
		one.answers = append(one.answers, porcupine.Operation{Input: one.name, Output: o.ID, Call: call.UnixNano(), Return: one.at.UnixNano()})
	}
	return nil
}

// end asks until the event is ending. One that was asked before, without an answer, may be.
func (l *launches) end(ctx context.Context, one *launched) error {
	err := insist(ctx, l.anywhere, testutil.Ask{Method: "POST", Path: "/events/" + one.name + "/end", In: map[string]any{"name": one.name}})
	if err != nil && no(err) != http.StatusConflict {
		return fmt.Errorf("end %s: %w", one.name, err)
	}
	one.ending = true
	return nil
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
	t.Logf("%d launches, of %d answers, linearizable; asked for and ended in %d tries", len(l.all), answers, l.asked)
}
