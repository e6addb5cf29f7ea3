package console

import (
	"context"
	"time"

	"popup/internal/wire"
)

// Report takes a report and answers what is wanted. The errors are Enrol's.
func (c *Console) Report(ctx context.Context, body []byte, s Signature) (wire.Answer, error) {
	return wire.Answer{}, errNotYet
}

// period is how often an instance reports where there is no news.
func (c *Console) period() time.Duration { return wire.DefaultPeriod }
