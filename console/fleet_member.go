package console

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"popup/internal/wire"
)

// A member is one instance of the fleet. There may be ten thousand: of reports it keeps
// what lists and judgements need.
type member struct {
	Instance                 // as it is kept, without its Report
	news       digest        // of the kept Report
	last       *wire.Report  // the newest, kept or not, made lean; nil: there is none
	seq        uint64        // of the newest report
	heard      time.Time     // when that came
	next       time.Duration // in which it was told to report again; 0: it was told nothing yet
	far        bool          // what is known of that was told by the store
	complained time.Time     // when a key or a token that is not its own was last written into the audit log
	history    *history      // nil: nothing was counted
}

// take takes over what the store says; heard is when its report came, by this console's clock.
func (m *member) take(i Instance, heard time.Time) {
	if r := i.Report; r != nil {
		m.news = digestOf(*r)
		if m.last == nil || r.Seq > m.seq {
			m.last = lean(*r)
		}
		if r.Seq > m.seq {
			m.seq, m.far, m.heard = r.Seq, true, later(m.heard, heard)
		}
	}
	i.Report = nil
	m.Instance = i
	if i.State.Over() {
		m.history = nil
	}
}

// remember takes over what was heard of the same instance in this process.
func (m *member) remember(before *member) {
	if before.seq >= m.seq {
		m.last, m.seq, m.next, m.far = before.last, before.seq, before.next, before.far
	}
	m.heard = later(m.heard, before.heard)
	m.history, m.complained = before.history, before.complained
}

// later is the later one of two moments.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// A digest tells reports with different news apart.
type digest [16]byte

// digestOf is over what is news in a report: all but what changes with every one of
// them (numbers, times of polls), and results, which are told until they were answered.
func digestOf(r wire.Report) (d digest) {
	r.Version, r.Seq, r.Time, r.Numbers, r.Results = 0, 0, time.Time{}, wire.Numbers{}, nil
	r.Phases = slices.Clone(r.Phases)
	for i := range r.Phases {
		r.Phases[i].Attempt, r.Phases[i].Since, r.Phases[i].NextTry = 0, time.Time{}, time.Time{}
	}
	r.Service, r.Data = withoutTimes(r.Service), withoutTimes(r.Data)
	text, _ := json.Marshal(r) // of strings, numbers and times of years that JSON has: it was read from it
	sum := sha256.Sum256(text)
	copy(d[:], sum[:])
	return d
}

func withoutTimes(s *wire.Stream) *wire.Stream {
	if s == nil {
		return nil
	}
	is := *s
	is.LastTry, is.LastSuccess, is.Confirmed, is.StaleAt, is.NextTry = time.Time{}, time.Time{}, time.Time{}, time.Time{}, time.Time{}
	return &is
}

// Bounds of what is kept of each report in memory.
const (
	longestText  = 400 // bytes of one text
	mostOfEach   = 24  // phases, notes
	longestShort = 160 // names, words
)

// lean is a report as it is kept in memory: without what commands print, and no text
// longer than a page shows, whatever an instance sends.
func lean(r wire.Report) *wire.Report {
	r.Results = nil
	r.Popup, r.App, r.URL = cut(r.Popup, longestShort), cut(r.App, longestShort), cut(r.URL, longestText)
	r.Why, r.Unmet = cut(r.Why, longestText), cut(r.Unmet, longestText)
	r.Phases = slices.Clone(r.Phases[:min(len(r.Phases), mostOfEach)])
	for i := range r.Phases {
		p := &r.Phases[i]
		p.Name, p.State, p.Cause, p.Detail = cut(p.Name, longestShort), cut(p.State, longestShort), cut(p.Cause, longestText), ""
	}
	r.Notes = slices.Clone(r.Notes[:min(len(r.Notes), mostOfEach)])
	for i := range r.Notes {
		r.Notes[i] = cut(r.Notes[i], longestText)
	}
	r.Service, r.Data = leanStream(r.Service), leanStream(r.Data)
	if s := r.Serving; s != nil {
		r.Serving = &wire.Serving{Release: cut(s.Release, longestShort), Revision: cut(s.Revision, longestShort), Since: s.Since}
	}
	if e := r.End; e != nil {
		r.End = &wire.Ending{At: e.At, Step: cut(e.Step, longestShort), Reason: cut(e.Reason, longestText), Detail: cut(e.Detail, longestText), Archive: cut(e.Archive, longestText)}
	}
	if b := r.Baked; b != nil {
		r.Baked = &wire.Baked{Release: cut(b.Release, longestShort), Revision: cut(b.Revision, longestShort), Failure: cut(b.Failure, longestText)}
	}
	return &r
}

func leanStream(s *wire.Stream) *wire.Stream {
	if s == nil {
		return nil
	}
	is := *s
	is.Source, is.Wanted, is.Held = cut(s.Source, longestText), cut(s.Wanted, longestShort), cut(s.Held, longestShort)
	is.ErrorClass, is.ErrorKind, is.Error, is.Via = cut(s.ErrorClass, longestShort), cut(s.ErrorKind, longestShort), cut(s.Error, longestText), cut(s.Via, longestShort)
	return &is
}

// cut is text, or as much of its beginning as limit bytes hold.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(strings.Clone(text[:limit]), "") + " …" // a clone, so that the rest is not held
}
