package api

import "time"

// A Bake is an image of an app that is made, or was.
type Bake struct {
	Event    string    `json:"event"` // of what is made for it
	App      string    `json:"app"`
	Title    string    `json:"title"`
	Cloud    string    `json:"cloud"`
	By       string    `json:"by"`
	State    string    `json:"state" jsonschema:"enum=installing,enum=copying,enum=done,enum=failed"`
	Image    string    `json:"image,omitempty"`
	Failure  string    `json:"failure,omitempty"`
	Created  time.Time `json:"created"`
	Finished time.Time `json:"finished,omitzero"`
}

// An Image is what launches of an app may start from.
type Image struct {
	ID       string    `json:"id"`
	Cloud    string    `json:"cloud"`
	App      string    `json:"app,omitempty"`
	Version  string    `json:"version,omitempty"` // of popup
	Release  string    `json:"release,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Ready    bool      `json:"ready"` // it can be launched
	Baked    time.Time `json:"baked"`
	Expires  time.Time `json:"expires"` // if no newer one takes its place before
	Times    BootTimes `json:"times"`
}

// BootTimes are how long instances of an app took until they were live, in seconds: the
// median of those from an image, and of the others, with how many there were.
type BootTimes struct {
	Baked      float64 `json:"baked,omitempty"`
	BakedCount int     `json:"baked_count"`
	Plain      float64 `json:"plain,omitempty"`
	PlainCount int     `json:"plain_count"`
	Sooner     float64 `json:"sooner,omitempty"` // by which those from an image were live
}

// Images are all that there are, and those that are made.
type Images struct {
	Images []Image `json:"images"`
	Bakes  []Bake  `json:"bakes"` // the newest first
	// Failure is why a cloud could not be asked for its images; empty: all were.
	Failure string `json:"failure,omitempty"`
}
