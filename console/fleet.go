package console

import (
	"context"
	"io"
	"time"

	"popup/internal/wire"
)

// A fleet is what this process knows of all instances: what the store says of them, and
// what was heard since.
type fleet struct{}

func newFleet(ctx context.Context, c *Console) (*fleet, error) { return &fleet{}, nil }

// run follows the store, and writes down what was heard.
func (f *fleet) run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

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

// Command has an instance do something; the order's result comes with a later report.
func (c *Console) Command(ctx context.Context, a Actor, instance string, command wire.Command) (Order, error) {
	return Order{}, errNotYet
}

// Pin changes what an instance is wanted to serve, or whether it refuses writes.
func (c *Console) Pin(ctx context.Context, a Actor, instance string, pin Pins) (InstanceView, error) {
	return InstanceView{}, errNotYet
}

// Pins are what may be wanted of an instance by hand. Nil: as it is; empty: follow again.
type Pins struct {
	ServiceCommit *string `json:"service_commit,omitempty"`
	DataRevision  *string `json:"data_revision,omitempty"`
	ReadOnly      *bool   `json:"read_only,omitempty"`
}

// Logs is what an instance sent for a logs command, as text; ErrNotFound until it came.
func (c *Console) Logs(ctx context.Context, a Actor, instance, command string) ([]byte, error) {
	return nil, errNotYet
}

// A Signature is what a request of an instance's carries beside its body.
type Signature struct {
	Instance string // of wire.HeaderInstance
	Value    string // of wire.HeaderSignature
	From     string // the address it came from, for the audit log
}

// Enrol answers an instance that brings its key. body is as it was sent. Its errors:
// *InputError, ErrForbidden (a wrong or used token, another key), *BusyError for an
// instance that is not known yet.
func (c *Console) Enrol(ctx context.Context, body []byte, s Signature) (wire.Enrolled, error) {
	return wire.Enrolled{}, errNotYet
}

// Report takes a report and answers what is wanted. The errors are Enrol's.
func (c *Console) Report(ctx context.Context, body []byte, s Signature) (wire.Answer, error) {
	return wire.Answer{}, errNotYet
}

// TakeLogs takes the log that a command asked for, compressed as it was sent.
func (c *Console) TakeLogs(ctx context.Context, command string, body []byte, s Signature) error {
	return errNotYet
}

// A Notice tells a follower that something changed.
type Notice struct {
	Seq   int64 // the store's change sequence: what to continue after
	Kind  Kind
	ID    string
	Event string // its id
	Gone  bool
}

// Follow calls fn for each change after seq that the actor sees, and as they come, until
// ctx ends or fn returns an error, which it returns. event narrows it; empty: all.
// ErrForgotten: some are no longer kept; reload and begin with Newest.
func (c *Console) Follow(ctx context.Context, a Actor, event string, seq int64, fn func(Notice) error) error {
	return errNotYet
}

// Newest is the sequence number of the newest change.
func (c *Console) Newest(ctx context.Context) (int64, error) { return 0, errNotYet }

// keepHouse forgets what is no longer needed: old changes, sessions, logs, until ctx ends.
func (c *Console) keepHouse(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Backup writes a copy of the store, without the keys that open its secrets.
func (c *Console) Backup(ctx context.Context, a Actor, to io.Writer) error { return errNotYet }
