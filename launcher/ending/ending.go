// Package ending decides when an instance ends. It does nothing to the instance:
// it is asked, again and again, which step holds now.
//
// An end loses what is not archived, so it is never taken from a clock alone. The
// clock has to be confirmed within the last hour, and once more as a step is
// taken; a clock that jumped has to be confirmed anew. An end whose clock nobody
// confirms acts after 24 hours of uptime past it.
package ending

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"popup/apps"
	"popup/internal/wire"
)

const (
	// confirmedFor is how long a confirmation counts.
	confirmedFor = time.Hour
	// renewAfter is the age at which a confirmation is asked for again while an
	// end is near, so that two failures do not lose it.
	renewAfter = confirmedFor / 3
	// closely is the age a confirmation may have when a new step is taken on it.
	closely = time.Minute
	// mostJump is how far the clock and the uptime may part between two decisions.
	mostJump = time.Minute
	// patience is the uptime past an end after which it acts without confirmation.
	patience = 24 * time.Hour
	// graceFor is how much uptime an end is put off while nobody answers Ask.
	graceFor = 10 * time.Minute

	defaultWarn   = 24 * time.Hour
	defaultFreeze = 10 * time.Minute
)

// ErrOver is returned by SetEnd when the instance has ended already.
var ErrOver = errors.New("it has ended already")

// Options are what an Ending is made of.
type Options struct {
	// End is when. Without a date there is no end until SetEnd gives one.
	End wire.End
	// Clock is required.
	Clock Clock
	// Uptime counts how long this machine has run, by a clock that never jumps.
	// From where it counts does not matter. Nil: time since New.
	Uptime func() time.Duration
	// Snapshot is what Snapshot gave before a restart; nil at the first start. It
	// counts only for the same end: an instance given another begins afresh.
	Snapshot *Snapshot
	// Ask asks whoever may have moved the end for the one that holds now. Nil when
	// there is nobody to ask. It should give up within half a minute.
	Ask func(ctx context.Context) (wire.End, error)
}

// An Ending decides about one instance. Its methods may be called from several
// goroutines at once; decisions are made one after the other.
type Ending struct {
	clock  Clock
	uptime func() time.Duration
	askFor func(ctx context.Context) (wire.End, error)

	deciding sync.Mutex // held over calls out, so that SetEnd never waits for them

	mu           sync.Mutex // guards what follows
	end          deadline
	over         bool
	overdue      time.Duration // uptime past an end that is not confirmed
	grace        time.Duration // uptime past an end that waits for an answer
	last         Decision
	seen         *sighting
	confirmed    *time.Duration // the uptime at the last confirmation; nil: none, or lost by a jump
	doubt        string         // why the clock is not confirmed
	askErr       error          // of the last Ask
	countOverdue bool           // time that passes now is overdue
	countGrace   bool           // time that passes now is grace
}

// A sighting is the two clocks at one moment.
type sighting struct {
	wall time.Time
	up   time.Duration
}

// A deadline is an end that was read. Its zero value never comes.
type deadline struct {
	at           time.Time
	warn, freeze time.Duration
	text         string // "at the end of 31 May 2026 (Europe/Berlin)"
}

func (d deadline) never() bool { return d.at.IsZero() }

// New reads the end and what a snapshot says of it.
func New(opts Options) (*Ending, error) {
	if opts.Clock == nil {
		return nil, errors.New("make an ending: it has no clock")
	}
	end, err := read(opts.End)
	if err != nil {
		return nil, err
	}
	e := &Ending{clock: opts.Clock, uptime: opts.Uptime, askFor: opts.Ask, end: end}
	if e.uptime == nil {
		start := time.Now()
		e.uptime = func() time.Duration { return time.Since(start) }
	}
	if s := opts.Snapshot; s != nil && !end.never() && s.End.Equal(end.at) {
		e.over, e.overdue, e.grace = s.Over, time.Duration(s.Overdue), time.Duration(s.Grace)
	}
	e.last = Decision{Step: Running, At: end.at, Next: soonest, Reason: e.sentence(Running)}
	return e, nil
}

func read(end wire.End) (deadline, error) {
	if end.At == "" {
		return deadline{}, nil
	}
	at, err := ParseEnd(end)
	if err != nil {
		return deadline{}, err
	}
	d := deadline{at: at, warn: time.Duration(end.Warn), freeze: time.Duration(end.Freeze)}
	if d.warn < 0 || d.freeze < 0 {
		return deadline{}, fmt.Errorf("end %s warns or freezes after it; give durations that are not negative", quote(end.At))
	}
	if d.warn == 0 {
		d.warn = defaultWarn
	}
	if d.freeze == 0 {
		d.freeze = defaultFreeze
	}
	d.warn = max(d.warn, d.freeze)
	d.text = "on " + at.Format("2 January 2006 at 15:04") + " (" + at.Location().String() + ")"
	if day, err := time.Parse(time.DateOnly, end.At); err == nil {
		d.text = "at the end of " + day.Format("2 January 2006") + " (" + at.Location().String() + ")"
	}
	return d, nil
}

// SetEnd moves the end, or takes it away when end has no date. It is ErrOver once
// Decide has said Over: what was ended is not begun again. Ask for a decision
// afterwards.
func (e *Ending) SetEnd(end wire.End) error {
	d, err := read(end)
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.over {
		return ErrOver
	}
	e.move(d)
	return nil
}

// move makes d the end. Time waited for another end does not count for it.
func (e *Ending) move(d deadline) {
	if !d.at.Equal(e.end.at) {
		e.forgetWaiting()
	}
	e.end = d
}

func (e *Ending) forgetWaiting() {
	e.overdue, e.grace, e.countOverdue, e.countGrace, e.askErr = 0, 0, false, false, nil
}

// A Snapshot is what has to outlive a restart. Keep it after every decision.
type Snapshot struct {
	End     time.Time     `json:"end"`     // the end it is about
	Overdue apps.Duration `json:"overdue"` // uptime past an end that is not confirmed
	Grace   apps.Duration `json:"grace"`   // uptime past an end that waits for an answer
	Over    bool          `json:"over"`
}

// Snapshot is the state at the last decision.
func (e *Ending) Snapshot() Snapshot {
	e.mu.Lock()
	defer e.mu.Unlock()
	return Snapshot{
		End:     e.end.at,
		Overdue: apps.Duration(e.overdue.Truncate(time.Second)),
		Grace:   apps.Duration(e.grace.Truncate(time.Second)),
		Over:    e.over,
	}
}
