package console

import (
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// mostSkew is how far another console's clock may be from this one's to be followed.
	mostSkew = 15 * time.Minute
	// leastSkew is what is not worth telling of.
	leastSkew = 2 * time.Second
	// mostLate is how late one may hear of a beat at most: a clock that is further behind is
	// another one.
	mostLate = 10 * time.Second
	// enoughBeats are as many as of which one at least is heard of in time.
	enoughBeats = 10
	// settleBy is the part of the time that passes by which a console that leads comes back to
	// its own clock.
	settleBy = 20
)

// A skew makes one clock of those of several consoles, so that what one wrote down as now is
// now for all. They follow who holds the lease. Whoever takes it over goes on with the time
// that was, and comes back to its own clock by three seconds a minute: no date jumps.
// Its methods may be called from several goroutines.
type skew struct {
	own func() time.Time
	log *slog.Logger

	mu    sync.Mutex
	by    time.Duration   // the fleet's time is that much ahead of own
	late  []time.Duration // the same by the last beats, where all of them were behind that
	apart bool            // that was said
	led   bool            // it followed somebody
}

// now is the fleet's time.
func (s *skew) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.own().Add(s.by)
}

// follow takes in what the fleet's time was a moment ago, and says whether it goes by another
// one from now on; first: it went by its own until now.
func (s *skew) follow(fleet time.Time) (other, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	first, s.led = !s.led, true
	by := fleet.Sub(s.own())
	far := by.Abs() > mostSkew
	if far && !s.apart {
		s.log.Warn("the clock of the console that leads is another one; set the clocks of both machines", "ahead", by)
	}
	if s.apart = far; far {
		by = 0
	}
	// A beat that one hears of late looks like a clock that is behind, and each that follows it
	// would be further behind. So it is believed when many say so, and then the one that is least behind.
	if s.late = append(s.late, by); by < s.by && s.by-by <= mostLate {
		if len(s.late) < enoughBeats {
			return false, first
		}
		by = slices.Max(s.late)
	}
	other = (by - s.by).Abs() > leastSkew
	s.by, s.late = by, nil
	return other, first
}

// reach has the fleet's time not be before one that was: what was written down then is
// nothing to come.
func (s *skew) reach(fleet time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if behind := fleet.Sub(s.own().Add(s.by)); behind > 0 && behind <= mostSkew {
		s.by += behind
	}
}

// settle brings the fleet's time closer to this console's own clock, for as much time as has
// passed.
func (s *skew) settle(passed time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = nil
	s.by -= min(max(s.by, -passed/settleBy), passed/settleBy)
}
