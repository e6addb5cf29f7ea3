package front

import (
	"bytes"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"time"

	"popup/templates"
)

// A PhaseState is where a phase of the boot stands.
type PhaseState string

// The states of a phase.
const (
	PhaseWaiting PhaseState = "waiting"
	PhaseRunning PhaseState = "running"
	PhaseDone    PhaseState = "done"
	PhaseKept    PhaseState = "kept" // there was nothing to do: an earlier start did it
	PhaseFailed  PhaseState = "failed"
)

// A Phase is one step of a boot: fetch service, fetch data, packages, build,
// start, check. Everything in it is shown to anybody who asks.
type Phase struct {
	Name    string     `json:"name"`
	State   PhaseState `json:"state"`
	Cause   string     `json:"cause,omitempty"`   // of a failure, plain: no output of commands, no addresses
	Attempt int        `json:"attempt,omitempty"` // counted from 1; 0: not tried yet
	Since   time.Time  `json:"since,omitzero"`    // when it came to this state; zero: not known
	NextTry time.Time  `json:"next_try,omitzero"` // of a failed phase; zero: not known
}

// Boot is what the boot page shows.
type Boot struct {
	Phases []Phase // in the order they are shown
}

// SetBoot changes the phases, on open boot pages too. It keeps a copy.
func (f *Front) SetBoot(b Boot) {
	b.Phases = slices.Clone(b.Phases)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.boot = b
	f.announce()
}

// phaseLine is a phase as the page shows it.
type phaseLine struct {
	Phase
	Says string
}

type bootPage struct {
	Name   string
	Phases []phaseLine
}

// bootPage is what the page is rendered from; f.mu is held.
func (f *Front) bootPage() bootPage {
	page := bootPage{Name: f.opts.Name}
	for _, p := range f.boot.Phases {
		page.Phases = append(page.Phases, phaseLine{p, p.says(f.opts.Now())})
	}
	return page
}

func (p Phase) says(now time.Time) string {
	switch p.State {
	case PhaseRunning:
		return "running" + p.tries() + p.lasting(now)
	case PhaseKept:
		return "already there"
	case PhaseFailed:
		if wait := p.NextTry.Sub(now); !p.NextTry.IsZero() && wait > 0 {
			return "failed" + p.tries() + ", next try in " + seconds(wait)
		}
		return "failed" + p.tries() + ", trying again"
	default:
		return string(p.State)
	}
}

func (p Phase) tries() string {
	if p.Attempt < 2 {
		return ""
	}
	return fmt.Sprintf(" (try %d)", p.Attempt)
}

func (p Phase) lasting(now time.Time) string {
	if took := now.Sub(p.Since); !p.Since.IsZero() && took >= time.Second {
		return " for " + seconds(took)
	}
	return ""
}

func seconds(d time.Duration) string {
	n := int(math.Ceil(d.Seconds()))
	if n < 120 {
		return fmt.Sprintf("%d s", n)
	}
	return fmt.Sprintf("%d min", n/60)
}

const (
	bootRefresh    = 3 * time.Second // a browser without scripts asks again
	minRetry       = 2 * time.Second
	maxRetry       = time.Minute
	bootStatus     = http.StatusServiceUnavailable
	defaultRetryIn = 10 * time.Second
)

// bootAnswer is the page, the JSON or the text of a boot; f.mu is held.
func (f *Front) bootAnswer() *answer {
	page := f.bootPage()
	var text strings.Builder
	fmt.Fprintf(&text, "%s is starting\n", page.Name)
	for _, p := range page.Phases {
		fmt.Fprintf(&text, "%s: %s\n", p.Name, p.Says)
		if p.Cause != "" {
			fmt.Fprintf(&text, "  %s\n", p.Cause)
		}
	}
	return &answer{
		status:  bootStatus,
		page:    templates.PageBoot,
		frame:   templates.Frame{Title: page.Name + " is starting", Refresh: int(bootRefresh.Seconds()), Data: page},
		text:    text.String(),
		json:    bootJSON{Status: "starting", Phases: f.boot.Phases},
		retryIn: f.bootRetry(),
	}
}

type bootJSON struct {
	Status string  `json:"status"`
	Phases []Phase `json:"phases"`
}

// bootRetry is when asking again is worth it: at the next try of what failed.
func (f *Front) bootRetry() time.Duration {
	wait := minRetry
	for _, p := range f.boot.Phases {
		if p.State == PhaseFailed && !p.NextTry.IsZero() {
			wait = max(wait, p.NextTry.Sub(f.opts.Now()))
		}
	}
	return min(wait, maxRetry)
}

// bootFragment is the list of phases as it stands on the page.
func (f *Front) bootFragment() (string, error) {
	f.mu.Lock()
	page := f.bootPage()
	f.mu.Unlock()
	var b bytes.Buffer
	err := templates.RenderFragment(&b, templates.PageBoot, "phases", page)
	return b.String(), err
}
