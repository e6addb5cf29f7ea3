//go:build cluster

package cluster

import (
	"context"
	"errors"
	"time"

	"popup/internal/testutil"
)

const (
	// answerTime is how long somebody waits for an answer before they take it for lost.
	answerTime = 10 * time.Second
	// patience is how long somebody asks again: longer than all consoles take to come back.
	patience = 3 * time.Minute
)

// no is the status of a refusal that says no; 0: there was no answer, or one that has who
// asked try again, as a console may say while nobody leads.
func no(err error) int {
	if refused := new(testutil.Refusal); errors.As(err, &refused) && refused.Status < 500 {
		return refused.Status
	}
	return 0
}

// insist asks until it is told yes or no, each time the console that at names.
func insist(ctx context.Context, at func() *console, a testutil.Ask) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := at().owner.Ask(ctx, a)
		if err == nil || no(err) != 0 || ctx.Err() != nil {
			return err
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return err
		}
	}
}
