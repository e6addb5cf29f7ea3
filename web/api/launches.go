package api

import (
	"time"

	"popup/internal/wire"
)

// A Deployment is an app within an event.
type Deployment struct {
	ID         string            `json:"id"`
	Event      string            `json:"event"`
	Title      string            `json:"title"`
	App        string            `json:"app"`
	Repository string            `json:"repository,omitempty"`
	Commit     string            `json:"commit,omitempty"`
	Cloud      string            `json:"cloud"`
	Count      int               `json:"count"`
	Plan       wire.Plan         `json:"plan"`
	Settings   map[string]string `json:"settings,omitempty"`
	Secrets    []string          `json:"secrets,omitempty"` // names
	Created    time.Time         `json:"created"`
}

// Deployments are those of an event.
type Deployments struct {
	Deployments []Deployment `json:"deployments"`
}

// An Operation is something that takes its time.
type Operation struct {
	ID        string    `json:"id"`
	Verb      string    `json:"verb"`
	Event     string    `json:"event"`
	By        string    `json:"by"`
	State     string    `json:"state" jsonschema:"enum=running,enum=done,enum=failed"`
	Instances []string  `json:"instances"`
	Created   time.Time `json:"created"`
	Finished  time.Time `json:"finished,omitzero"`
	Failure   string    `json:"failure,omitempty"`
}

// Operations are those of an event.
type Operations struct {
	Operations []Operation `json:"operations"`
}

// A Preview is what a launch would do.
type Preview struct {
	Event  Event        `json:"event"`
	New    bool         `json:"new"`
	Button string       `json:"button"`
	Apps   []PreviewApp `json:"apps"`
	Cloud  string       `json:"cloud"`
	Count  int          `json:"count"`
	Notes  []string     `json:"notes"`
	EndsAt time.Time    `json:"ends_at"`
	Quote  Quote        `json:"quote"`
}

// A PreviewApp is one app of a preview.
type PreviewApp struct {
	Name       string     `json:"name"`
	Deployment Deployment `json:"deployment"`
	UserData   string     `json:"user_data"`
}

// HeaderKey has a launch that is asked for again done once.
const HeaderKey = "Idempotency-Key"
