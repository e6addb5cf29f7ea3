package console

import (
	"context"

	"popup/internal/wire"
)

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

// TakeLogs takes the log that a command asked for, compressed as it was sent.
func (c *Console) TakeLogs(ctx context.Context, command string, body []byte, s Signature) error {
	return errNotYet
}
