package api

import "time"

// An Audit is one thing that was done.
type Audit struct {
	Seq    int64     `json:"seq"`
	At     time.Time `json:"at"`
	Actor  string    `json:"actor"`
	Action string    `json:"action"`
	Object string    `json:"object"`
	Detail string    `json:"detail,omitempty"`
}

// An AuditLog is a page of what was done.
type AuditLog struct {
	Entries []Audit `json:"entries"`
	Next    string  `json:"next_page_token,omitempty"`
}

// A Settings is how this console was started.
type Settings struct {
	Version string   `json:"version"`
	URL     string   `json:"url"`
	Pin     string   `json:"pin,omitempty"` // of its certificate
	Clouds  []string `json:"clouds"`
	Cloud   string   `json:"cloud"` // the one that is used where none is asked for
}
