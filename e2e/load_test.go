package e2e

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
)

// A load asks for a page over and over, as readers do, and keeps what failed.
type load struct {
	cancel context.CancelFunc
	group  sync.WaitGroup

	mu     sync.Mutex
	asked  int
	slow   time.Duration
	failed []error
}

// readers is how many ask at once.
const readers = 4

// startLoad asks until stop, each reader as often as every says. A page without
// the text is a failed one.
func startLoad(t *testing.T, address, text string, every time.Duration) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{cancel: cancel}
	for range readers {
		l.group.Go(func() {
			tick := time.NewTicker(every)
			defer tick.Stop()
			for ctx.Err() == nil {
				began := time.Now()
				body, err := get(ctx, address)
				if err == nil && !strings.Contains(body, text) {
					err = fmt.Errorf("a page without %q:\n%s", text, body)
				}
				if ctx.Err() == nil {
					l.note(time.Since(began), err)
				}
				select {
				case <-tick.C:
				case <-ctx.Done():
				}
			}
		})
	}
	t.Cleanup(func() { l.end() })
	return l
}

func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.asked++
	l.slow = max(l.slow, took)
	if err != nil && len(l.failed) < 10 {
		l.failed = append(l.failed, err)
	}
}

func (l *load) end() {
	l.cancel()
	l.group.Wait()
}

// stop ends the load and fails the test when any request failed.
func (l *load) stop(t *testing.T) {
	t.Helper()
	l.end()
	t.Logf("%d requests, the slowest %v", l.asked, l.slow.Round(time.Millisecond))
	if l.asked == 0 {
		t.Error("nobody asked for anything")
	}
	if err := errors.Join(l.failed...); err != nil {
		t.Errorf("requests failed: %v", err)
	}
}
