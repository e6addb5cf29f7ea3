package launcher

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"popup/internal/wire"
	"popup/launcher/front"
)

// A PhaseName is one step of a boot, in the words of its page.
type PhaseName string

// The phases of a boot. Those before the build run side by side.
const (
	PhaseEnrol    PhaseName = "enrol"        // only with a console
	PhaseVolume   PhaseName = "state volume" // only where the state is on a disk of its own
	PhaseService  PhaseName = "fetch service"
	PhaseData     PhaseName = "fetch data"
	PhasePackages PhaseName = "packages"
	PhaseBuild    PhaseName = "build"
	PhaseRestore  PhaseName = "restore state" // only where the console names a backup to begin with
	PhaseStart    PhaseName = "start"
	PhaseCheck    PhaseName = "check"
)

// A Phase is one line of the boot page. Cause is for anybody; Detail (output of
// commands, addresses) is only for those who may ask for the status.
type Phase struct {
	Name    PhaseName        `json:"name"`
	State   front.PhaseState `json:"state"`
	Cause   string           `json:"cause,omitempty"`
	Detail  string           `json:"detail,omitempty"`
	Attempt int              `json:"attempt,omitempty"`
	Since   time.Time        `json:"since,omitzero"`
	NextTry *time.Time       `json:"next_try,omitempty"`
}

// phaseError says in which phase something failed and what may be shown of it to anybody.
type phaseError struct {
	phase PhaseName
	cause string
	err   error
}

func (e *phaseError) Error() string { return fmt.Sprintf("%s: %v", e.phase, e.err) }
func (e *phaseError) Unwrap() error { return e.err }

// board is the state of all phases. It may be used from several goroutines.
type board struct {
	log     *slog.Logger
	journal *Journal
	show    func([]Phase) // told of every change

	mu     sync.Mutex
	phases []Phase
}

// phasesOf are the phases that a boot of plan has.
func phasesOf(plan wire.Plan) []PhaseName {
	phases := []PhaseName{PhaseService, PhaseData, PhasePackages, PhaseBuild, PhaseStart, PhaseCheck}
	if plan.State.Volume != nil {
		phases = append([]PhaseName{PhaseVolume}, phases...)
	}
	if plan.Console != nil {
		phases = append([]PhaseName{PhaseEnrol}, phases...)
	}
	return phases
}

func newBoard(log *slog.Logger, journal *Journal, show func([]Phase), phases []PhaseName) *board {
	b := &board{log: log, journal: journal, show: show}
	for _, name := range phases {
		b.phases = append(b.phases, Phase{Name: name, State: front.PhaseWaiting})
	}
	show(b.list())
	return b
}

// add makes name a phase, before another one.
func (b *board) add(name, before PhaseName) {
	b.mu.Lock()
	at := slices.IndexFunc(b.phases, func(p Phase) bool { return p.Name == before })
	if !slices.ContainsFunc(b.phases, func(p Phase) bool { return p.Name == name }) {
		b.phases = slices.Insert(b.phases, at, Phase{Name: name, State: front.PhaseWaiting})
	}
	b.mu.Unlock()
	b.show(b.list())
}

func (b *board) list() []Phase {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]Phase(nil), b.phases...)
}

// set changes one phase. A phase that goes on running after a failure counts an attempt.
func (b *board) set(name PhaseName, state front.PhaseState, cause, detail string, next time.Duration) {
	now := time.Now().UTC()
	b.mu.Lock()
	var changed Phase
	for i := range b.phases {
		p := &b.phases[i]
		if p.Name != name {
			continue
		}
		if state == front.PhaseRunning && p.State != front.PhaseRunning {
			p.Attempt++
		}
		if p.State == state && p.Cause == cause && next == 0 {
			break
		}
		p.State, p.Cause, p.Detail, p.Since, p.NextTry = state, cause, detail, now, nil
		if next > 0 {
			at := now.Add(next)
			p.NextTry = &at
		}
		changed = *p
	}
	b.mu.Unlock()
	if changed.Name == "" {
		return
	}
	b.show(b.list())
	if state == front.PhaseFailed { // the log is the operator's: it may say all of it
		b.log.Warn("phase", "phase", name, "state", state, "attempt", changed.Attempt, "err", firstOf(detail, cause))
	} else {
		b.log.Info("phase", "phase", name, "state", state, "attempt", changed.Attempt)
	}
	err := b.journal.Write(Entry{Event: "phase", Phase: string(name), Attempt: changed.Attempt, Message: joinNonEmpty(state, cause)})
	if err != nil {
		b.log.Error("journal", "err", err)
	}
}

func (b *board) running(name PhaseName) { b.set(name, front.PhaseRunning, "", "", 0) }
func (b *board) done(name PhaseName)    { b.set(name, front.PhaseDone, "", "", 0) }
func (b *board) kept(name PhaseName)    { b.set(name, front.PhaseKept, "", "", 0) }

// failed shows err on the phase it names, or on name where it names none.
func (b *board) failed(name PhaseName, err error, next time.Duration) {
	var pe *phaseError
	if errors.As(err, &pe) {
		name = pe.phase
	}
	b.set(name, front.PhaseFailed, publicCause(err), err.Error(), next)
}

func joinNonEmpty(state front.PhaseState, cause string) string {
	if cause == "" {
		return string(state)
	}
	return string(state) + ": " + cause
}

// publicCause is what of err may be shown to anybody, whatever phase it is from.
func publicCause(err error) string {
	var pe *phaseError
	if errors.As(err, &pe) && pe.cause != "" {
		return pe.cause
	}
	return plainCause(err)
}

// plainCause is what of err may be shown to anybody: no address, no output of a command.
func plainCause(err error) string {
	var plain interface{ Cause() string }
	if errors.As(err, &plain) {
		return plain.Cause()
	}
	return "popup status on the machine says why"
}
