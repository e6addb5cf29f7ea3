package ending

import (
	"context"
	"fmt"
	"time"
)

// A Step is how far an instance is on its way out.
type Step int

// The steps, in their order. All but Over may be taken back, by another end or by
// a clock that turns out to be wrong.
const (
	Running Step = iota
	Warned       // readers are told when it ends
	Frozen       // writes are refused
	Grace        // the end has come, and whether it was moved cannot be asked; writes are refused
	Over         // the end: back up, archive, stop
)

// String is the step as journal and status call it.
func (s Step) String() string {
	switch s {
	case Running:
		return "running"
	case Warned:
		return "warned"
	case Frozen:
		return "frozen"
	case Grace:
		return "grace"
	case Over:
		return "over"
	}
	return fmt.Sprintf("step %d", int(s))
}

// A Decision is what holds now.
type Decision struct {
	Step   Step
	At     time.Time     // the end, in its zone; zero when there is none
	Next   time.Duration // ask again after this, at the latest; zero: never, it is over
	Reason string        // a sentence for the page, the journal and the status
	Detail string        // for the journal and the status only: why the clock is not confirmed, or Ask failed; may name hosts
}

// How long a decision holds.
const (
	soonest      = time.Second
	holdsRunning = time.Hour
	holdsWarned  = renewAfter
	holdsClose   = time.Minute // frozen, grace, or in doubt just before the end
	holdsOverdue = 5 * time.Minute
)

// Decide says which step holds now. It may take as long as Clock.Confirm and Ask
// together. With a cancelled context it answers with the decision before.
func (e *Ending) Decide(ctx context.Context) Decision {
	e.deciding.Lock()
	defer e.deciding.Unlock()
	var confirmed, asked bool
	for {
		decision, missing := e.look(confirmed, asked)
		switch missing {
		case nothing:
			return decision
		case confirmation:
			confirmed = true
			e.confirm(ctx)
		case answer:
			asked = true
			e.ask(ctx)
		}
		if ctx.Err() != nil {
			e.mu.Lock()
			defer e.mu.Unlock()
			return e.last
		}
	}
}

// A need is what has to be learnt before a decision can be made.
type need int

const (
	nothing need = iota
	confirmation
	answer
)

// look decides by what is known, or says what has to be learnt first. Looking and
// deciding are one critical section: an end set meanwhile is never passed over.
func (e *Ending) look(confirmed, asked bool) (Decision, need) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.observe()
	if !confirmed && e.needsConfirmation() {
		return Decision{}, confirmation
	}
	if !asked && e.askFor != nil && e.step() != Running && !e.over {
		return Decision{}, answer
	}
	e.last = e.settle()
	return e.last, nothing
}

// observe reads both clocks, counts what passed, and drops the confirmation of a
// clock that jumped.
func (e *Ending) observe() {
	now := &sighting{wall: e.clock.Now().Round(0), up: e.uptime()}
	if e.seen != nil {
		passed := now.up - e.seen.up
		if jump := now.wall.Sub(e.seen.wall) - passed; jump.Abs() > mostJump && e.confirmed != nil {
			e.confirmed = nil
			e.doubt = "it jumped by " + roughly(jump)
		}
		if e.countOverdue {
			e.overdue += passed
		}
		if e.countGrace {
			e.grace += passed
		}
	}
	e.seen = now
}

func (e *Ending) isConfirmed() bool {
	return e.confirmed != nil && e.seen.up-*e.confirmed <= confirmedFor
}

// needsConfirmation: never far from an end, once in a while near it, and afresh
// for every new step.
func (e *Ending) needsConfirmation() bool {
	if e.over || e.byClock() == Running && e.overdue == 0 {
		return false
	}
	if !e.isConfirmed() {
		return true
	}
	age := e.seen.up - *e.confirmed
	return age >= renewAfter || age > closely && e.byClock() > e.last.Step
}

// confirm asks the clock. A comparison that could not be made leaves an older
// confirmation as it is; one that says the clock is wrong does not.
func (e *Ending) confirm(ctx context.Context) {
	result, err := e.clock.Confirm(ctx)
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case err != nil:
		e.doubt = err.Error()
	case !result.OK:
		e.confirmed = nil
		e.doubt = fmt.Sprintf("it is %s %s", offText(result.Offset), result.By)
	default:
		up := e.uptime()
		e.confirmed, e.doubt = &up, ""
	}
}

// ask learns whether the end was moved.
func (e *Ending) ask(ctx context.Context) {
	end, err := e.askFor(ctx)
	var d deadline
	if err == nil {
		d, err = read(end)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.askErr = err
	if err == nil {
		e.move(d)
	}
}

// byClock is the step that the machine's clock speaks for, right or wrong.
func (e *Ending) byClock() Step {
	left := e.end.at.Sub(e.seen.wall)
	switch {
	case e.end.never() || left > e.end.warn:
		return Running
	case left > e.end.freeze:
		return Warned
	case left > 0:
		return Frozen
	}
	return Over
}

// step is what holds before Ask is considered. A warning is only a sentence, so it
// needs no confirmed clock; freezing and ending are acts.
func (e *Ending) step() Step {
	step := e.byClock()
	switch {
	case e.over:
		return Over
	case step <= Warned || e.isConfirmed():
		return step
	case step == Over && e.overdue >= patience:
		return Over
	case step == Over && e.overdue >= patience-e.end.freeze:
		return Frozen
	}
	return Warned
}

// settle makes the decision, and starts or stops the clocks that count uptime.
func (e *Ending) settle() Decision {
	step, sure := e.step(), e.isConfirmed()
	if sure && step < Over {
		e.forgetWaiting()
	}
	if step == Over && !e.over && e.askErr != nil && e.grace < graceFor {
		step = Grace
	}
	e.over = step == Over
	e.countGrace = step == Grace
	e.countOverdue = !sure && e.byClock() == Over && step < Grace
	d := Decision{Step: step, At: e.end.at, Next: e.holds(step), Reason: e.sentence(step)}
	switch {
	case step == Grace:
		d.Detail = "ask whether the end was moved: " + e.askErr.Error()
	case step != Running && step != Over && !sure:
		d.Detail = "the clock is not confirmed: " + e.doubt
	}
	return d
}

// holds is how long a step is good for: until the next one, and never so long that
// a jump of the clock goes unseen.
func (e *Ending) holds(step Step) time.Duration {
	left := e.end.at.Sub(e.seen.wall)
	var next time.Duration
	switch {
	case step == Over:
		return 0
	case e.end.never():
		return holdsRunning
	case step == Running:
		next = min(left-e.end.warn, holdsRunning)
	case step == Grace:
		next = min(graceFor-e.grace, holdsClose)
	case e.countOverdue:
		next = min(patience-e.overdue, holdsOverdue)
	case step == Frozen || e.byClock() != step:
		next = min(left, holdsClose)
	default:
		next = min(left-e.end.freeze, holdsWarned)
	}
	return max(next, soonest)
}
