package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

const (
	bakeLook = 15 * time.Second // until a bake is looked at again
	// bakeInstalls is how long its machine may take: popup on it gives up before.
	bakeInstalls = 3 * time.Hour
	// bakeOff is how long a machine that said that it is done may take to be off.
	bakeOff = 15 * time.Minute
	// bakeTimeout bounds one Baker.Bake, which is asked again until the image is there, for
	// bakeCopies at most.
	bakeTimeout = 2 * time.Minute
	bakeCopies  = 2 * time.Hour
	// bakeTries is how often that may fail: for about ten minutes.
	bakeTries = 8
)

// stepBake brings a bake on: it waits until its machine is done and off, has the cloud
// make the image, and ends what was made for it. Each step is written down, and what is
// asked of the cloud comes to the same when it is asked again.
func (r *reconciler) stepBake(ctx context.Context, id string) error {
	var b Bake
	err := r.c.store.Update(ctx, func(tx Tx) (err error) {
		if b, err = get[Bake](tx, id); err != nil {
			return err
		}
		s, err := r.c.subject(tx, b.Instance)
		if err != nil {
			return err
		}
		b.look(s, r.c.now())
		return r.c.putBake(tx, b)
	})
	if err != nil {
		return fmt.Errorf("bake %s: %w", id, err)
	}
	if b.State != BakeCopies {
		return nil
	}
	return r.copyBake(ctx, b)
}

// look takes in how a bake's instance is.
func (b *Bake) look(s subject, now time.Time) {
	if b.State.Over() {
		b.Due = time.Time{}
		return
	}
	b.Due = now.Add(bakeLook)
	if b.State == BakeCopies {
		b.Due = now // it is asked for
	}
	said := s.Report != nil && s.Report.Baked != nil
	switch {
	case s.event.State.Over():
		b.fail("it was ended before the image was there", now)
	case s.State.Over() || s.State == InstanceEnding:
		b.fail(s.became(), now)
	case b.State == BakeCopies:
	case said && s.Report.Baked.Failure != "":
		b.fail("its machine says: "+s.Report.Baked.Failure, now)
	case said && !s.Stopped.IsZero():
		b.State, b.Copies, b.Due = BakeCopies, now, now
		b.Tags = maps.Clone(b.Tags)
		for tag, is := range map[string]string{tagImageRelease: s.Report.Baked.Release, tagImageRevision: s.Report.Baked.Revision} {
			if is != "" {
				b.Tags[tag] = cut(is, mostTag)
			}
		}
	case said && now.Sub(s.Heard) > bakeOff:
		b.fail("its machine said that it is done, and is not turned off", now)
	case !said && !s.Stopped.IsZero() && now.Sub(s.Stopped) > bakeLook:
		b.fail("its machine was turned off before it said that it is done", now)
	case now.Sub(b.Created) > bakeInstalls:
		b.fail(fmt.Sprintf("its machine is not done after %s; its log may say why", roughly(bakeInstalls)), now)
	}
}

func (b *Bake) fail(why string, now time.Time) {
	b.State, b.Failure, b.Finished, b.Due = BakeFailed, why, now, time.Time{}
}

// copyBake asks the cloud for the image.
func (r *reconciler) copyBake(ctx context.Context, b Bake) error {
	within, cancel := context.WithTimeout(ctx, bakeTimeout)
	image, failed := r.bakeOnce(within, b)
	late := within.Err() != nil
	cancel()
	if ctx.Err() != nil {
		return nil // told to stop; the next start asks again
	}
	write := r.c.store.Update(ctx, func(tx Tx) error {
		is, err := get[Bake](tx, b.Event)
		if err != nil || is.State != BakeCopies {
			return err
		}
		is.copied(image, failed, late, r.c.now())
		return r.c.putBake(tx, is)
	})
	if write != nil {
		return fmt.Errorf("bake %s: %w", b.Event, write)
	}
	if failed == nil {
		r.c.log.Info("baked", "app", b.App, "image", image.ID, "cloud", b.Cloud)
		r.expireSoon(b.Cloud)
	}
	return nil
}

func (r *reconciler) bakeOnce(ctx context.Context, b Bake) (Image, error) {
	cloud, err := r.cloud(ctx, b.Cloud)
	if err != nil {
		return Image{}, err
	}
	baker, bakes := cloud.(Baker)
	if !bakes {
		return Image{}, fmt.Errorf("%s makes no images of its machines", b.Cloud)
	}
	return baker.Bake(ctx, b.Instance, b.Tags)
}

// copied takes in what the cloud answered; late: it did not within the time.
func (b *Bake) copied(image Image, err error, late bool, now time.Time) {
	b.Failure, b.Due = "", now
	switch {
	case err == nil:
		b.State, b.Image, b.Finished, b.Due = BakeDone, image.ID, now, time.Time{}
	case now.Sub(b.Copies) > bakeCopies:
		b.fail(fmt.Sprintf("the image is not there after %s", roughly(bakeCopies)), now)
	case late:
	default:
		b.Tries++
		b.Failure, b.Due = plain(err), now.Add(pauseAfter(b.Tries))
		if b.Tries >= bakeTries {
			b.fail(b.Failure, now)
		}
	}
}

// putBake writes a bake, and ends its event where nothing becomes of it any more.
func (c *Console) putBake(tx Tx, b Bake) error {
	err := put(tx, b)
	if err != nil || !b.State.Over() {
		return err
	}
	e, err := get[Event](tx, b.Event)
	if err != nil || e.State.Over() {
		return err
	}
	says := "the image " + b.Image + " is there"
	if b.State == BakeFailed {
		says = "there is no image: " + b.Failure
	}
	o := Operation{ID: newID(16), Verb: verbEnd, By: System.ID, Created: c.now()}
	err = errors.Join(c.end(tx, &e, &o), c.audit(tx, System, verbBake, "event/"+e.ID, cut(says, mostTag)))
	e.Due = c.now()
	return errors.Join(err, put(tx, e))
}
