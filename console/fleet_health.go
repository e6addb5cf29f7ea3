package console

import (
	"cmp"
	"fmt"
	"time"

	"popup/internal/wire"
)

// How an instance is doing, in one word, of what it reported and when.
const (
	HealthWaiting   = "waiting"   // no machine yet
	HealthStarting  = "starting"  // not served yet
	HealthLive      = "live"      // served, and healthy
	HealthUnhealthy = "unhealthy" // served, and something is wrong with it
	HealthSilent    = "silent"    // it has not reported for three periods
	HealthEnding    = "ending"
	HealthOver      = "over"
)

// healths are the words, what needs somebody first.
var healths = []string{HealthUnhealthy, HealthSilent, HealthWaiting, HealthStarting, HealthLive, HealthEnding, HealthOver}

const (
	// silentAfter is how many reports in a row are missing before that says something.
	silentAfter = 3
	// firstWord is how long a machine may take from its launch to its first report.
	firstWord = 15 * time.Minute
)

// health judges a member. f.mu is held.
func (f *fleet) health(m *member, now time.Time) (word, why string) {
	period := max(m.next, f.c.period()) // one that is asked to hurry may be busy
	j := judgement{last: m.last, heard: m.heard, since: f.listens, now: now, period: period}
	if m.far && f.c.opts.Name != "" {
		j.late = heardEvery
	}
	return judge(&m.Instance, j)
}

// A judgement is what an instance is judged by beside itself.
type judgement struct {
	last   *wire.Report  // nil: it never reported
	heard  time.Time     // zero: never
	since  time.Time     // when somebody began to listen
	now    time.Time     // by the same clock
	period time.Duration // in which it was to report again
	late   time.Duration // how much later than that one hears of it by way of another console
}

// judge says how an instance is doing: one of the Health words, and a sentence where
// there is something to say.
func judge(i *Instance, j judgement) (word, why string) {
	switch i.State {
	case InstanceGone:
		return HealthOver, ""
	case InstanceLost:
		return HealthOver, cmp.Or(i.Failure, "its machine went away without being told to")
	case InstanceFailed:
		return HealthOver, cmp.Or(i.Failure, "its cloud refused it")
	case InstancePlanned, InstanceLaunching:
		return HealthWaiting, i.Failure
	case InstanceEnding:
		return HealthEnding, cmp.Or(i.Failure, endingWhy(j.last))
	}
	if j.heard.IsZero() {
		return j.unheard(i)
	}
	if j.now.Sub(later(j.heard, j.since)) > silentAfter*j.period+j.late {
		return HealthSilent, "it was heard of last at " + j.heard.UTC().Format("15:04 on 2 January (UTC)")
	}
	switch r := j.last; {
	case r == nil || !r.Live:
		return HealthStarting, startingWhy(r)
	case !r.Healthy:
		return HealthUnhealthy, cmp.Or(r.Why, "it does not say why")
	default:
		return HealthLive, r.Unmet
	}
}

// unheard judges an instance that never reported.
func (j judgement) unheard(i *Instance) (word, why string) {
	from := later(i.Launched, j.since)
	if j.now.Sub(from) <= firstWord {
		return HealthStarting, "its machine has not been heard of yet"
	}
	return HealthSilent, fmt.Sprintf("its machine was never heard of, %s after its launch; look at its console, and whether it reaches this address", j.now.Sub(i.Launched).Round(time.Minute))
}

// startingWhy names the phase that keeps an instance from being served.
func startingWhy(r *wire.Report) string {
	if r == nil {
		return ""
	}
	doing := ""
	for _, p := range r.Phases {
		switch p.State {
		case "failed":
			return p.Name + ": " + cmp.Or(p.Cause, "it failed")
		case "running":
			doing = p.Name
		}
	}
	return doing
}

func endingWhy(r *wire.Report) string {
	if r == nil || r.End == nil {
		return ""
	}
	return cmp.Or(r.End.Detail, r.End.Reason)
}
