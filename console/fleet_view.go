package console

import (
	"context"
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

// An InstanceView is an instance with what is known of it by now.
type InstanceView struct {
	Instance
	EventName  string
	EventTitle string
	Title      string // of its deployment
	App        string
	Health     string // one of the Health words
	Why        string // a sentence; may be empty
	// LastReport is the newest, with or without news; nil: none since this console was started.
	LastReport *wire.Report
	LastHeard  time.Time // zero: never
	History    []Sample  // the last hour, oldest first
}

// A Sample is what an instance counted within one minute.
type Sample struct {
	At               time.Time
	Requests, Errors int64
}

// An InstanceQuery narrows a list of instances. Zero fields do not.
type InstanceQuery struct {
	Text   string // in its id, title, app, event, address, commit
	Event  string // an id
	App    string
	Health string
	Cloud  string
	Sort   string // id (the default), event, app, health, heard, data, requests; a - before it turns it round
	After  string // a page token
	Limit  int    // 0: 50; at most 500
}

// An InstancePage is a page of a list.
type InstancePage struct {
	Instances []InstanceView
	Total     int            // of all pages
	Next      string         // the token of the next page; empty: this is the last
	Counts    map[string]int // how many instances the actor sees, by Health
}

// Instances lists those the actor sees. The error is an *InputError where q is at fault.
func (c *Console) Instances(ctx context.Context, a Actor, q InstanceQuery) (InstancePage, error) {
	return InstancePage{}, errNotYet
}

// Instance returns one.
func (c *Console) Instance(ctx context.Context, a Actor, id string) (InstanceView, error) {
	return InstanceView{}, errNotYet
}

// InstanceConfig is what an instance is wanted to be: its plan, with settings, and with
// secrets and credentials by name only.
func (c *Console) InstanceConfig(ctx context.Context, a Actor, id string) (InstanceConfig, error) {
	return InstanceConfig{}, errNotYet
}

// An InstanceConfig is what an instance is wanted to be.
type InstanceConfig struct {
	Instance string            `json:"instance"`
	Plan     wire.Plan         `json:"plan"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  []string          `json:"secrets,omitempty"` // names
	Wanted   wire.Wanted       `json:"wanted"`
}
