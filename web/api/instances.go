package api

import (
	"time"

	"popup/internal/wire"
)

// An Instance is an instance with what is known of it by now. Lists leave its
// report, its history and its orders out.
type Instance struct {
	ID         string       `json:"id"`
	Event      string       `json:"event"`
	EventName  string       `json:"event_name"`
	EventTitle string       `json:"event_title"`
	Deployment string       `json:"deployment"`
	Title      string       `json:"title"`
	App        string       `json:"app"`
	Number     int          `json:"number"`
	Cloud      string       `json:"cloud"`
	State      string       `json:"state" jsonschema:"enum=planned,enum=launching,enum=starting,enum=live,enum=ending,enum=gone,enum=lost,enum=failed"`
	Health     string       `json:"health" jsonschema:"enum=waiting,enum=starting,enum=live,enum=unhealthy,enum=silent,enum=ending,enum=over"`
	Why        string       `json:"why,omitempty"`
	Machine    string       `json:"machine,omitempty"`
	Address    string       `json:"address,omitempty"`
	Release    string       `json:"release,omitempty"`
	Revision   string       `json:"revision,omitempty"`
	Created    time.Time    `json:"created"`
	Launched   time.Time    `json:"launched,omitzero"`
	Enrolled   time.Time    `json:"enrolled,omitzero"`
	LiveSince  time.Time    `json:"live_since,omitzero"`
	Heard      time.Time    `json:"heard,omitzero"`
	Ended      time.Time    `json:"ended,omitzero"`
	Gone       time.Time    `json:"gone,omitzero"`
	Failure    string       `json:"failure,omitempty"`
	Archive    *Archive     `json:"archive,omitempty"`
	Image      string       `json:"image,omitempty"` // that it is launched from; not in lists
	Times      *BootTimes   `json:"times,omitempty"` // of its app in its cloud; not in lists
	Wanted     *wire.Wanted `json:"wanted,omitempty"`
	Report     *wire.Report `json:"report,omitempty"`
	History    []Sample     `json:"history,omitempty"`
	Orders     []Order      `json:"orders,omitempty"`
}

// A Sample is what an instance counted within one minute.
type Sample struct {
	At       time.Time `json:"at"`
	Requests int64     `json:"requests"`
	Errors   int64     `json:"errors"`
}

// Instances are a page of them, with how many there are in all, and by health.
type Instances struct {
	Instances []Instance     `json:"instances"`
	Total     int            `json:"total"`
	Counts    map[string]int `json:"counts"`
	Next      string         `json:"next_page_token,omitempty"`
}

// A Config is what an instance is wanted to be; of secrets the names alone.
type Config struct {
	Instance string            `json:"instance"`
	Plan     wire.Plan         `json:"plan"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  []string          `json:"secrets,omitempty"`
	Wanted   wire.Wanted       `json:"wanted"`
}

// An Order is a command and what became of it.
type Order struct {
	ID     string            `json:"id"`
	Verb   string            `json:"verb"`
	Args   map[string]string `json:"args,omitempty"`
	By     string            `json:"by"`
	At     time.Time         `json:"at"`
	Result *wire.Result      `json:"result,omitempty"`
}

// Orders are those of an instance.
type Orders struct {
	Orders []Order `json:"orders"`
}

// A NewOrder asks an instance to do something.
type NewOrder struct {
	Verb string            `json:"verb" jsonschema:"enum=sync,enum=retry,enum=rollback,enum=release,enum=restart,enum=logs,enum=drain,enum=end"`
	Args map[string]string `json:"args,omitempty"`
}
