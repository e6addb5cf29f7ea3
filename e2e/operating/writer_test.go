//go:build dqlite

package operating

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
)

// A writer makes events, at one console after the other.
type writer struct {
	t       testing.TB
	all     []*machine
	token   string
	made    []string // the names of those that were acknowledged
	unknown int      // those that were not, and may be there
	stop    context.CancelFunc
	done    sync.WaitGroup
}

// begin claims the console that is the first one, and makes events from then on.
func begin(t testing.TB, all []*machine, first *machine) *writer {
	t.Helper()
	p := first.person("")
	testutil.Claim(t, p, first.console.Says("claim: ", time.Minute))
	w := &writer{t: t, all: all, token: p.Token}
	must(t, w.event(t.Context(), first, "event-first"))
	ctx, stop := context.WithCancel(t.Context())
	w.stop = stop
	t.Cleanup(w.pause)
	w.done.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
			if err := w.event(ctx, all[i%len(all)], fmt.Sprintf("event-%d", i)); err != nil {
				w.unknown++
			}
		}
	})
	return w
}

// pause ends the making of events.
func (w *writer) pause() {
	w.stop()
	w.done.Wait()
}

func (w *writer) event(ctx context.Context, m *machine, name string) error {
	in := map[string]any{"name": name, "title": name, "end": "30d"}
	err := m.person(w.token).Ask(ctx, testutil.Ask{Method: "POST", Path: "/events", In: in})
	if err == nil {
		w.made = append(w.made, name)
	}
	return err
}
