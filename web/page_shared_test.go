package web

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestSharedParts: a part is made once for all who ask at once, and again after a change
// or a while. What went wrong for one is tried again for the next.
func TestSharedParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var parts sharedParts
		var made atomic.Int64
		var failing error
		make := func() ([]byte, error) { return fmt.Appendf(nil, "part %d", made.Add(1)), failing }
		get := func(key string, seq int64, want string) {
			t.Helper()
			if html, err := parts.get(key, seq, make); err != nil || string(html) != want {
				t.Errorf("%s as of %d: %s, %v; want %s", key, seq, html, err, want)
			}
		}
		var all sync.WaitGroup
		for range 100 {
			all.Go(func() { get("fair", 1, "part 1") })
		}
		all.Wait()
		get("ball", 1, "part 2")
		get("fair", 2, "part 3")
		get("fair", 1, "part 3") // who asks late for what is known by then
		time.Sleep(sharedFor)
		get("fair", 2, "part 4")
		if len(parts.made) != 1 {
			t.Errorf("%d parts are kept that nobody is shown", len(parts.made)-1)
		}
		failing = errors.New("given up")
		if _, err := parts.get("fair", 3, make); !errors.Is(err, failing) {
			t.Errorf("the error is %v", err)
		}
		failing = nil
		get("fair", 3, "part 7")
	})
}
