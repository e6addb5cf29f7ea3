package console

import (
	"context"
	"errors"
)

var errNotYet = errors.New("not yet")

// An EventChange is what may be changed of an event. Nil: as it is.
type EventChange struct {
	Title   *string `json:"title,omitempty"`
	Start   *string `json:"start,omitempty"`
	Freeze  *string `json:"freeze,omitempty"`
	End     *string `json:"end,omitempty"` // later is to extend it
	Zone    *string `json:"zone,omitempty"`
	Webhook *string `json:"webhook,omitempty"`
	Owner   *string `json:"owner,omitempty"` // a person's id
}

// Events are those the actor sees, the one that ends next first, and those that are over after them.
func (c *Console) Events(ctx context.Context, a Actor) ([]Event, error) { return nil, errNotYet }

// Event finds an event by its id or its name.
func (c *Console) Event(ctx context.Context, a Actor, id string) (Event, error) {
	return Event{}, errNotYet
}

// Deployments are those of an event, in the order they were made.
func (c *Console) Deployments(ctx context.Context, a Actor, event string) ([]Deployment, error) {
	return nil, errNotYet
}

// CreateEvent makes a draft.
func (c *Console) CreateEvent(ctx context.Context, a Actor, r EventRequest) (Event, error) {
	return Event{}, errNotYet
}

// ChangeEvent changes an event that is not over; its instances are told at their next report.
func (c *Console) ChangeEvent(ctx context.Context, a Actor, id string, change EventChange) (Event, error) {
	return Event{}, errNotYet
}

// FreezeEvent refuses writes in all its apps, until ThawEvent or the end.
func (c *Console) FreezeEvent(ctx context.Context, a Actor, id string) (Event, error) {
	return Event{}, errNotYet
}

// ThawEvent lets a frozen event go on.
func (c *Console) ThawEvent(ctx context.Context, a Actor, id string) (Event, error) {
	return Event{}, errNotYet
}

// EndEvent ends it now. name must be the event's name: so nobody ends one by mistake.
func (c *Console) EndEvent(ctx context.Context, a Actor, id, name string) (Operation, error) {
	return Operation{}, errNotYet
}

// DiscardState gives up the state of an instance whose final backup does not come, so
// that it can be taken away. name must be the instance's id.
func (c *Console) DiscardState(ctx context.Context, a Actor, instance, name string) error {
	return errNotYet
}

// PurgeEvent removes the archives of an event that is over. name must be its name.
func (c *Console) PurgeEvent(ctx context.Context, a Actor, id, name string) (Event, error) {
	return Event{}, errNotYet
}

// A Receipt says what became of everything that was made for an event.
type Receipt struct {
	Event     Event
	Instances []ReceiptLine
}

// A ReceiptLine is one instance of a receipt.
type ReceiptLine struct {
	Instance Instance
	Title    string // of its deployment
	Gone     bool   // proven gone
	State    string // a sentence: archived and verified, had none, discarded by …
}

// Receipt tells, for an event that ended, how far that is.
func (c *Console) Receipt(ctx context.Context, a Actor, event string) (Receipt, error) {
	return Receipt{}, errNotYet
}

// A PublicEvent is what anybody may know of an event, by its name.
type PublicEvent struct {
	Event Event // without owner and webhook
	Apps  []PublicApp
	// Reminder is what its page says as the end comes near; empty: nothing.
	Reminder string
}

// A PublicApp is an app of a PublicEvent.
type PublicApp struct {
	Title   string
	Address string // empty: it is not up yet
	Live    bool
	Says    string // a sentence on how it is
}

// PublicEvent is the page that is handed out; drafts and purged events have none.
func (c *Console) PublicEvent(ctx context.Context, name string) (PublicEvent, error) {
	return PublicEvent{}, errNotYet
}

// reconcile brings what is wanted and what the clouds have together, until ctx ends.
func (c *Console) reconcile(ctx context.Context) error {
	<-ctx.Done()
	return nil
}
