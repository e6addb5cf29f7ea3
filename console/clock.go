package console

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// mostJump is how far the clock may get ahead of the uptime between two readings.
	mostJump = 5 * time.Minute
	// doubtFor is how long a clock that jumped is not believed, for somebody to set it right.
	doubtFor = time.Hour
)

// errDoubted says that a date has come by a clock that is in doubt.
var errDoubted = errors.New("the clock is in doubt")

// A clock says whether dates may do by themselves what cannot be taken back: a clock that
// jumps ahead would end every event, and remove its archives. One that is behind only does
// so late, and how far it went while no console ran is not known. Its methods may be called
// from several goroutines.
type clock struct {
	now    func() time.Time
	uptime func() time.Duration // from anywhere on, by what never jumps
	log    *slog.Logger

	mu      sync.Mutex    // guards what follows
	sound   time.Time     // what the clock said at uptime zero, as far as it is believed
	last    time.Time     // the same by the last reading
	doubted time.Duration // the uptime at its last jump
	why     string        // it is in doubt; empty: it is not
}

func newClock(now func() time.Time, uptime func() time.Duration, log *slog.Logger) *clock {
	up := uptime()
	sound := now().Round(0).Add(-up)
	return &clock{now: now, uptime: uptime, log: log, sound: sound, last: sound}
}

// believe has the clock be right as it is: from now on it is another one.
func (k *clock) believe() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sound = k.now().Round(0).Add(-k.uptime())
	k.last, k.why = k.sound, ""
}

// doubt reads the clock, and says to an event's owner why its date is not acted on;
// empty: it is.
func (k *clock) doubt() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	up := k.uptime() // first: who is stopped in between takes that for a jump ahead, and for one back next time
	now := k.now().Round(0)
	zero := now.Add(-up)
	jump := zero.Sub(k.last)
	k.last = zero
	switch {
	case jump > mostJump && zero.Sub(k.sound) > mostJump:
		k.doubted = up
		k.why = fmt.Sprintf("The console's clock jumped ahead by %s, so that this end may not have come: it is not acted on before %s UTC by that clock. "+
			"Set the clock right, extend the event, or end it by hand.", roughly(jump), now.Add(doubtFor).UTC().Format(spokenTime))
		k.log.Warn("the clock jumped ahead; no event is ended by its date, and no archive removed", "by", jump, "for", doubtFor)
	case zero.Sub(k.sound) <= mostJump || up-k.doubted >= doubtFor:
		k.sound, k.why = zero, ""
	}
	return k.why
}

// uptimeBy is how long the machine has run, its sleep included: to wake up is no jump. A
// clock that is given, as a test's, is its own.
func uptimeBy(now func() time.Time) func() time.Duration {
	if now != nil {
		start := now()
		return func() time.Duration { return now().Sub(start) }
	}
	start := time.Now()
	return func() time.Duration {
		var t unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
			return time.Since(start) // it is always there or never
		}
		return time.Duration(t.Nano())
	}
}

// doubted says that an event's end has come, by a clock that is in doubt.
func (e Event) doubted() bool { return e.Stuck != "" && !e.State.Over() }
