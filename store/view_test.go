package store

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"popup/console"
)

// TestViewIsRunAgain where the database was lost in its middle, whatever it makes of that,
// and for nothing else.
func TestViewIsRunAgain(t *testing.T) {
	lost, mine := errors.New("lost"), errors.New("mine")
	s, err := with(t, filepath.Join(t.TempDir(), "db"), Options{Retry: func(err error) bool { return errors.Is(err, lost) }, Patience: time.Second}, migrations)
	check(t, err)
	check(t, put(s, "a"))
	for name, w := range map[string]struct {
		runs int // of which all but the last lose the database
		says func(error) error
		want error
	}{
		"once":                {1, nil, nil},
		"twice":               {2, func(err error) error { return err }, nil},
		"in words of its own": {3, func(error) error { return mine }, nil},
		"passed over":         {2, func(error) error { return nil }, nil},
		"its own error":       {1, nil, mine},
	} {
		runs := 0
		err := s.View(t.Context(), func(c console.Tx) error {
			if _, err := c.Get("thing", "a"); err != nil {
				return err
			}
			if runs++; runs < w.runs {
				return w.says(c.(*tx).fail("read from", lost))
			}
			return w.want
		})
		if runs != w.runs || err != w.want {
			t.Errorf("%s: %d runs, %v", name, runs, err)
		}
	}
	// One that stays lost is told, and not for ever.
	err = s.View(t.Context(), func(c console.Tx) error { return c.(*tx).fail("read from", lost) })
	if !errors.Is(err, lost) {
		t.Error(err)
	}
	says(t, err, "not free for 1s")
}
