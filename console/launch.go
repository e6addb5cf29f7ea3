package console

import (
	"context"
	"time"

	"popup/apps"
)

// A LaunchRequest asks for apps within an event, new or not.
type LaunchRequest struct {
	Event EventRequest `json:"event"`
	Apps  []AppRequest `json:"apps"`
	Cloud string       `json:"cloud,omitempty"` // empty: the console's default
}

// An EventRequest names an event, or says what a new one is like.
type EventRequest struct {
	ID      string `json:"id,omitempty"`    // of one that is there; then nothing else may be given
	Name    string `json:"name,omitempty"`  // empty: made of Title
	Title   string `json:"title,omitempty"` // for people
	Start   string `json:"start,omitempty"` // a date, or a date and time; empty: at once
	Freeze  string `json:"freeze,omitempty"`
	End     string `json:"end,omitempty"`
	Zone    string `json:"zone,omitempty"`    // an IANA name; empty: UTC
	Webhook string `json:"webhook,omitempty"` // told of reminders and changes
}

// An AppRequest asks for one app. Either App or Repository is given.
type AppRequest struct {
	App        apps.AppID        `json:"app,omitempty"`        // of the catalogue
	Repository string            `json:"repository,omitempty"` // URL[#REF] with a manifest
	Commit     string            `json:"commit,omitempty"`     // that was looked at; another one is a conflict
	Title      string            `json:"title,omitempty"`      // empty: the app's name
	Count      int               `json:"count,omitempty"`      // of instances; 0: one
	Service    string            `json:"service,omitempty"`    // URL[#REF] of the code, instead of the manifest's
	Data       string            `json:"data,omitempty"`       // the same of the data
	Settings   map[string]string `json:"settings,omitempty"`
	Domains    []string          `json:"domains,omitempty"`
}

// A Preview is what a launch would do: what a person checks before the button.
type Preview struct {
	Event  Event
	New    bool   // the event is made by it
	Button string // Launch until 31 May
	Apps   []PreviewApp
	Cloud  string
	Count  int      // of instances, all together
	Notes  []string // sentences on what works less well than one might think
	EndsAt time.Time
}

// A PreviewApp is one app of a preview.
type PreviewApp struct {
	Deployment Deployment
	Name       string // the app's
	UserData   string // what an instance would be started with, its token left out
}

// Preview says what Launch would do, and does nothing. Its errors are Launch's.
func (c *Console) Preview(ctx context.Context, a Actor, r LaunchRequest) (Preview, error) {
	return Preview{}, errNotYet
}

// Launch makes what r asks for. It returns as soon as that is written down; what comes
// of it the operation tells. Asked again with the same key it returns the same operation
// and does nothing; with the same key and another request it is an *InputError. Other
// errors: *InputError for what was given, *ConflictError, ErrForbidden.
func (c *Console) Launch(ctx context.Context, a Actor, r LaunchRequest, key string) (Operation, error) {
	return Operation{}, errNotYet
}

// Operation returns one. Operations returns those of an event, newest first.
func (c *Console) Operation(ctx context.Context, a Actor, id string) (Operation, error) {
	return Operation{}, errNotYet
}

// Operations returns those of an event, newest first.
func (c *Console) Operations(ctx context.Context, a Actor, event string) ([]Operation, error) {
	return nil, errNotYet
}
