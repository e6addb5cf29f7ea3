package launcher

import (
	"time"

	"popup/datasync"
)

// A Status is the whole truth about an instance, for those who may ask: it may
// name addresses and hold the output of commands.
type Status struct {
	App      string           `json:"app"`
	Name     string           `json:"name"`
	Instance string           `json:"instance"`
	Version  string           `json:"version"`
	URL      string           `json:"url"`
	Since    time.Time        `json:"since"`             // when this popup was started
	Live     bool             `json:"live"`              // a checked app is being served
	Healthy  bool             `json:"healthy"`           // it passed its last health check, and its data is fresh
	Why      string           `json:"why,omitempty"`     // why it is not healthy
	ReadOnly bool             `json:"read_only"`         // writes are answered 503
	Serving  *Serving         `json:"serving,omitempty"` // nil until the first flip
	Phases   []Phase          `json:"phases"`
	Service  *datasync.Status `json:"service,omitempty"`
	Data     *datasync.Status `json:"data,omitempty"`
	End      *EndStatus       `json:"end,omitempty"`
	Restarts int              `json:"restarts"` // of the app, since popup was started
	Requests int64            `json:"requests"`
	Errors   int64            `json:"errors"` // answers of 500 and above
	Console  *ConsoleStatus   `json:"console,omitempty"`
	Notes    []string         `json:"notes,omitempty"`   // what works less well here than it should, and why
	Journal  []Entry          `json:"journal,omitempty"` // the newest entries, oldest first
}

// Serving names what is served.
type Serving struct {
	Release  datasync.Revision `json:"release"`
	Revision datasync.Revision `json:"revision,omitempty"`
	Since    time.Time         `json:"since,omitzero"`
}

// EndStatus says when the instance is over and how far that has come.
type EndStatus struct {
	At      time.Time `json:"at"`
	Step    string    `json:"step"`
	Reason  string    `json:"reason,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Archive string    `json:"archive,omitempty"`
}

// A SyncOrder says how to look for what is new.
type SyncOrder struct {
	Retry bool // try again what was refused, if it still is what is newest
}

// A SyncReport says what one pass of sync came to, and what it cost the sources.
type SyncReport struct {
	Served   Serving `json:"served"`
	Wanted   Serving `json:"wanted"`
	Changed  bool    `json:"changed"`
	Took     string  `json:"took"` // a length of time like 79ms or 1m2.5s
	Requests int64   `json:"requests"`
	BytesIn  int64   `json:"bytes_in"` // on the connections, TLS included
	BytesOut int64   `json:"bytes_out"`
}

// A RollbackOrder goes back to an older release or revision and holds it there.
type RollbackOrder struct {
	What    string // "service" or "data"
	To      string // a release or revision, or its beginning; empty: the one before
	Release bool   // let the held one go forward again, and sync it
}
