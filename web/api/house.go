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

// A Cluster is the consoles that keep one store, and what may be lost of them.
type Cluster struct {
	Says      string   `json:"says"`          // in a sentence
	Tolerates int      `json:"tolerates"`     // how many may be lost at once, and all goes on
	Why       string   `json:"why,omitempty"` // it is no more than that, and what to do
	Members   []Member `json:"members"`       // by address; none: this console has the store alone
	// BackupsAlone is how many backups of instances are on the console alone that was asked.
	BackupsAlone int `json:"backups_alone"`
}

// A Member is one of those consoles.
type Member struct {
	Address string `json:"address"` // at which the others reach it
	Self    bool   `json:"self"`    // it is the one that was asked
	Role    string `json:"role,omitempty"`
	Leads   bool   `json:"leads"`
	Answers bool   `json:"answers"`           // within a second
	Follows string `json:"follows,omitempty"` // whom it takes for the one that leads
	Behind  int64  `json:"behind"`            // entries of the log that others have and it has not; -1: it did not say
	Version string `json:"version,omitempty"`
	URL     string `json:"url,omitempty"`
}
