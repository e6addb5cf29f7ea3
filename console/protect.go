package console

import (
	"context"
	"time"
)

// protectTimeout bounds one Protector.Protect.
const protectTimeout = time.Minute

// protects says whether the cloud of an instance keeps machines from being ended by mistake.
func (c *Console) protects(i Instance) bool {
	_, protects := c.opts.Clouds[i.Cloud].(Protector)
	return protects
}

// protect has an instance's cloud keep it. What ends it lifts that; see Protector.
func (r *reconciler) protect(ctx context.Context, s subject) error {
	cloud, err := r.cloud(ctx, s.Cloud)
	if err == nil {
		within, cancel := context.WithTimeout(ctx, protectTimeout)
		err = cloud.(Protector).Protect(within, s.ID)
		cancel()
	}
	if ctx.Err() != nil {
		return nil // told to stop; the next start does it again
	}
	if err != nil {
		r.c.log.Warn("an instance is not protected from being ended by mistake", "instance", s.ID, "err", err)
	}
	_, write := r.c.turnInstance(ctx, s.ID, func(s *subject) {
		now := r.c.now()
		switch {
		case s.State != InstanceLive:
		case err != nil:
			s.Tries++
			s.Due = now.Add(pauseAfter(s.Tries))
		default:
			s.Tries, s.Due = 0, time.Time{}
		}
	})
	return write
}
