package datasync

import (
	"context"
	"errors"
	"syscall"
	"time"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/signature"
	"popup/internal/tree"
)

// Cost is what a source asked for and transferred since it was opened. A source
// that counts has a method Cost() Cost.
type Cost = meter.Cost

// A Status is the truth about one source and what is served of it.
type Status struct {
	Source      string        `json:"source"`
	Serving     Revision      `json:"serving,omitempty"`
	Since       time.Time     `json:"since,omitzero"`        // when Serving became current
	Wanted      Revision      `json:"wanted,omitempty"`      // the newest that was seen; the held one, while one is held
	LastTry     time.Time     `json:"last_try,omitzero"`     // when the source was last asked
	LastSuccess time.Time     `json:"last_success,omitzero"` // when what it has was last had, or fetched
	LastError   string        `json:"last_error,omitempty"`  // of the last try; empty: it went well
	ErrorClass  string        `json:"error_class,omitempty"` // one of ErrorClasses
	ErrorKind   string        `json:"error_kind,omitempty"`  // more closely: the gate that refused, or git's own class
	Confirmed   time.Time     `json:"confirmed,omitzero"`    // when Serving was last known to be what is wanted
	Age         int64         `json:"age"`                   // seconds since then; 0 while nothing is served
	StaleAt     time.Time     `json:"stale_at,omitzero"`     // when that is three periods ago; zero: no tries are planned
	Period      time.Duration `json:"period,omitempty"`      // between tries, in nanoseconds; 0: none are planned
	NextTry     time.Time     `json:"next_try,omitzero"`     // when the source is asked next, also after a failure
	Requests    int64         `json:"requests"`              // of the source, since popup was started
	BytesIn     int64         `json:"bytes_in"`              // on its connections, since popup was started
	BytesOut    int64         `json:"bytes_out"`
	Held        Revision      `json:"held,omitempty"`
	Refused     []Refusal     `json:"refused,omitempty"`
	Via         string        `json:"via,omitempty"`         // what was used last: "relay" or "origin"; empty: there is no relay
	RelayError  string        `json:"relay_error,omitempty"` // why the relay is not used, or not believed
}

// stalePeriods is how many tries in a row may fail before what is served is stale.
const stalePeriods = 3

// complete fills in what follows from the rest. opened is when the Syncer was made,
// planned is when a failed try is made again, if that is not by the schedule.
func (s *Status) complete(now, opened, planned time.Time, schedule Schedule) {
	if s.Serving != "" {
		if s.Confirmed.IsZero() { // it was what was wanted when it became current
			s.Confirmed = s.Since
		}
		s.Age = int64(max(0, now.Sub(s.Confirmed)).Seconds())
	}
	if schedule.spec == nil {
		return
	}
	s.Period, s.NextTry = schedule.Period(now), planned
	if planned.IsZero() {
		s.NextTry = schedule.Next(now)
	}
	// What counts is the tries that were planned, and not the time: who looks on
	// weekdays alone is not stale on Sunday. Nobody tried while nothing ran.
	at := s.Confirmed
	if at.Before(opened) {
		at = opened
	}
	for range stalePeriods {
		at = schedule.Next(at)
	}
	if !at.IsZero() {
		s.StaleAt = at.Add(minPeriod) // the last try takes time as well
	}
}

// Stale says whether what is served was not found to be what is wanted for three
// periods, though it was asked.
func (s *Status) Stale(now time.Time) bool {
	return !s.StaleAt.IsZero() && now.After(s.StaleAt)
}

// Classes of errors, by what can be done about them.
const (
	ClassAuth      = "auth"       // renew credentials, or pin another host key
	ClassDNS       = "dns"        // check the name, and the network's resolver
	ClassTLS       = "tls"        // the server's certificate is not to be trusted
	ClassNetwork   = "network"    // the server is not reached
	ClassTimeout   = "timeout"    // it does not answer in time
	ClassRateLimit = "rate-limit" // ask less often
	ClassMissing   = "missing"    // there is no such repository, branch or archive
	ClassMoved     = "moved"      // upstream was rewritten meanwhile
	ClassDisk      = "disk"       // free some space, or replace the disk
	ClassClock     = "clock"      // set this machine's clock
	ClassCorrupt   = "corrupt"    // what was sent, or lies here, is damaged
	ClassGate      = "gate"       // the revision is at fault: a gate, or the app, refused it
	ClassOther     = "other"
)

// ErrorClasses are all of them.
func ErrorClasses() []string {
	return []string{ClassAuth, ClassDNS, ClassTLS, ClassNetwork, ClassTimeout, ClassRateLimit, ClassMissing, ClassMoved,
		ClassDisk, ClassClock, ClassCorrupt, ClassGate, ClassOther}
}

// Kinds of errors, besides git's classes and the names of the gates.
const (
	refusedKind = "refused"
	diskKind    = "disk"
	relayKind   = "relay" // it is behind
	damagedKind = "damaged"
)

// classOf says which class the errors of a kind are of; the kinds that are not
// here are gates.
var classOf = map[string]string{
	string(git.Credentials): ClassAuth, string(git.HostKey): ClassAuth,
	string(git.DNS): ClassDNS, string(git.TLS): ClassTLS, string(git.Clock): ClassClock,
	string(git.Unreachable): ClassNetwork, string(git.Timeout): ClassTimeout, string(git.RateLimited): ClassRateLimit,
	string(git.NotRepository): ClassMissing, string(git.NoBranch): ClassMissing, string(git.Empty): ClassMissing,
	"not-found": ClassMissing, "empty": ClassMissing,
	string(git.Moved): ClassMoved, diskKind: ClassDisk,
	string(git.Content): ClassCorrupt, "corrupt": ClassCorrupt, damagedKind: ClassCorrupt,
	string(git.TooLarge): ClassGate, refusedKind: ClassGate,
	relayKind: ClassOther, string(git.Other): ClassOther,
}

// ErrorClass groups errors of this package by what can be done about them: one of
// ErrorClasses, and empty for none.
func ErrorClass(err error) string {
	var gate *GateError
	if errors.As(err, &gate) {
		return ClassGate
	}
	if class, known := classOf[errorKind(err)]; known || err == nil {
		return class
	}
	return ClassOther
}

// errorKind says more closely what went wrong.
func errorKind(err error) string {
	var refused *RefusedError
	var gate *GateError
	var known *git.Error
	var damaged *tree.DamagedError
	var behind *BehindError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return refusedKind
	case isDiskFull(err), errors.Is(err, syscall.EROFS), errors.Is(err, syscall.EIO):
		return diskKind
	case errors.As(err, &gate):
		return gate.Gate
	case errors.Is(err, signature.ErrClock):
		return string(git.Clock)
	case errors.Is(err, ErrMoved):
		return string(git.Moved)
	case errors.As(err, &known):
		return string(known.Class)
	case errors.As(err, &damaged):
		return damagedKind
	case errors.As(err, &behind):
		return relayKind
	case errors.Is(err, context.DeadlineExceeded):
		return string(git.Timeout)
	}
	return string(git.Other)
}
