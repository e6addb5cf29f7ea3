// Package api is what the console's API takes and gives, as JSON: the types that its
// server writes and its client reads. Readers ignore fields they do not know. Requests
// are types of package console where its use cases take just these.
package api

import (
	"time"

	"popup/console"
)

// A Problem is how an error is told (RFC 9457).
type Problem struct {
	Type    string               `json:"type"` // about:blank: its status says what it is
	Title   string               `json:"title"`
	Status  int                  `json:"status"`
	Detail  string               `json:"detail,omitempty"` // what to try
	Errors  []console.FieldError `json:"errors,omitempty"` // all that is wrong with what was given
	Request string               `json:"request"`          // what to ask about, and to look for in the log
	After   time.Duration        `json:"-"`                // when to come back, as the header Retry-After says; 0: not said
}

// ProblemType is the media type of a Problem.
const ProblemType = "application/problem+json"
