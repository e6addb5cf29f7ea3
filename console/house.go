package console

import (
	"context"
	"errors"
	"io"
	"time"
)

const (
	// houseEvery is how often what is no longer needed is forgotten.
	houseEvery = time.Hour
	// changesKept is how long the store's changes are kept: whoever was away for longer
	// begins anew.
	changesKept = 24 * time.Hour
)

// keepHouse forgets what is no longer needed, old changes and what people no longer use,
// until ctx ends.
func (c *Console) keepHouse(ctx context.Context) error {
	next := time.NewTicker(houseEvery)
	defer next.Stop()
	for {
		if err := c.tidy(ctx); err != nil && ctx.Err() == nil {
			c.log.Error("keep house", "err", err)
		}
		select {
		case <-next.C:
		case <-ctx.Done():
			return nil
		}
	}
}

func (c *Console) tidy(ctx context.Context) error {
	err := c.store.Update(ctx, func(tx Tx) error {
		_, err := tx.Forget(c.now().Add(-changesKept))
		return err
	})
	return errors.Join(err, c.forgetPeople(ctx), c.forgetConsoles(ctx))
}

// Backup writes a copy of the store, without the keys that open its secrets.
func (c *Console) Backup(ctx context.Context, a Actor, to io.Writer) error {
	if err := authorise(a, Admin, target{}); err != nil {
		return err
	}
	err := c.store.Update(ctx, func(tx Tx) error { return c.audit(tx, a, "back up", "store", "") })
	if err != nil {
		return err
	}
	return c.store.Backup(ctx, to)
}
