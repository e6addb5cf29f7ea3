package datasync

import (
	"context"
	"errors"
	"time"

	"popup/internal/git"
)

// A Status is the truth about one source and what is served of it.
type Status struct {
	Source      string        `json:"source"`
	Serving     Revision      `json:"serving,omitempty"`
	Since       time.Time     `json:"since,omitzero"`        // when Serving became current
	Wanted      Revision      `json:"wanted,omitempty"`      // the newest that was seen; the held one, while one is held
	LastTry     time.Time     `json:"last_try,omitzero"`     // when the source was last asked
	LastSuccess time.Time     `json:"last_success,omitzero"` // when what it has was last had, or fetched
	LastError   string        `json:"last_error,omitempty"`  // of the last try; empty: it went well
	ErrorClass  string        `json:"error_class,omitempty"`
	Period      time.Duration `json:"period,omitempty"`  // between tries, in nanoseconds; 0: none are planned
	NextTry     time.Time     `json:"next_try,omitzero"` // when the schedule asks next
	Held        Revision      `json:"held,omitempty"`
	Refused     []Refusal     `json:"refused,omitempty"`
}

// Classes of errors, besides git's and the names of the gates.
const (
	ClassRefused  = "refused"
	ClassDiskFull = "disk-full"
	ClassMoved    = "moved"
	ClassTimeout  = "timeout"
	ClassOther    = "other"
)

// ErrorClass groups errors of this package by what can be done about them.
func ErrorClass(err error) string {
	var refused *RefusedError
	var full *DiskFullError
	var gate *GateError
	var known *git.Error
	switch {
	case err == nil:
		return ""
	case errors.As(err, &refused):
		return ClassRefused
	case errors.As(err, &full):
		return ClassDiskFull
	case errors.As(err, &gate):
		return gate.Gate
	case errors.Is(err, ErrMoved):
		return ClassMoved
	case errors.As(err, &known):
		return string(known.Class)
	case errors.Is(err, context.DeadlineExceeded):
		return ClassTimeout
	}
	return ClassOther
}
