package console

import (
	"context"
	"errors"
	"fmt"
	"time"

	"popup/internal/wire"
)

const (
	// leastVolume is how large a volume for state is where the manifest says less.
	leastVolume = 4 << 30
	// attachTimeout bounds one VolumeKeeper.Attach, and a Snapshot.
	attachTimeout = 5 * time.Minute
	// mostSnapshots is how often it is tried to keep the disks of a sick machine before it
	// is replaced all the same.
	mostSnapshots = 5
)

// wantVolume has a deployment's state on a volume, where that can be; what is wrong is noted.
func (c *Console) wantVolume(d *Deployment, w *wrong) {
	_, keeps := c.opts.Clouds[d.Cloud].(VolumeKeeper)
	switch {
	case !d.HasState():
		w.add("volume", d.Title+" keeps nothing that visitors write; leave the volume out")
	case !keeps:
		w.add("volume", fmt.Sprintf("%s keeps no volumes; choose another cloud, or leave it out: state is on the machine's disk then, and in its backups", d.Cloud))
	default:
		d.Volume = &Volume{}
	}
}

// KeepsVolumes says whether one of the clouds can have state on a volume.
func (c *Console) KeepsVolumes() bool {
	for _, cloud := range c.opts.Clouds {
		if _, keeps := cloud.(VolumeKeeper); keeps {
			return true
		}
	}
	return false
}

// volumeSize is that of a volume which is yet to be made; 0: there is to be none.
func (d Deployment) volumeSize() int64 {
	if d.Volume == nil || d.Volume.ID != "" {
		return 0
	}
	return max(int64(d.Plan.Manifest.State.Size), leastVolume)
}

// onVolume says that its state is on a volume, which was made.
func (d Deployment) onVolume() bool { return d.Volume != nil && d.Volume.ID != "" }

// volumeOf is what an instance's plan says of its volume; nil: there is none.
func (d Deployment) volumeOf(i Instance) *wire.Volume {
	if !d.onVolume() {
		return nil
	}
	return &wire.Volume{ID: d.Volume.ID, Fresh: !i.Inherits}
}

// makeVolume makes the volume of an instance's deployment, and writes it down before it
// is used.
func (r *reconciler) makeVolume(ctx context.Context, s *subject) error {
	if s.deployment.Volume == nil || s.deployment.onVolume() {
		return nil
	}
	keeper, err := r.volumes(ctx, s.Cloud)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	made, err := keeper.MakeVolume(within, VolumeAsk{Launch: r.c.launchOf(s.event, s.deployment, s.Instance)})
	if err != nil {
		return fmt.Errorf("make its volume: %w", err)
	}
	err = r.c.store.Update(ctx, func(tx Tx) error {
		d, err := get[Deployment](tx, s.Deployment)
		if err != nil {
			return err
		}
		d.Volume = &made
		s.deployment = d
		return put(tx, d)
	})
	if err != nil {
		return fmt.Errorf("write volume %s of %s: %w", made.ID, s.Deployment, err)
	}
	return nil
}

// volumes is the cloud that keeps an instance's.
func (r *reconciler) volumes(ctx context.Context, cloud string) (VolumeKeeper, error) {
	asked, err := r.cloud(ctx, cloud)
	if err != nil {
		return nil, err
	}
	keeper, keeps := asked.(VolumeKeeper)
	if !keeps {
		return nil, fmt.Errorf("%s keeps no volumes any more; start the console with it as it was", cloud)
	}
	return keeper, nil
}

// unattached says that an instance's machine is there, and its volume not known to be.
func (s subject) unattached() bool {
	return s.State == InstanceStarting && s.deployment.onVolume() && s.Attached.IsZero()
}

// attach gives an instance's machine its volume, once whatever had it is proven off.
func (r *reconciler) attach(ctx context.Context, s subject) error {
	keeper, err := r.volumes(ctx, s.Cloud)
	if err == nil {
		within, cancel := context.WithTimeout(ctx, attachTimeout)
		err = keeper.Attach(within, s.deployment.Volume.ID, s.ID)
		cancel()
	}
	if ctx.Err() != nil {
		return nil // told to stop; the next start does it again
	}
	_, write := r.c.turnInstance(ctx, s.ID, func(s *subject) {
		now := r.c.now()
		switch {
		case !s.unattached():
		case err != nil:
			s.Tries++
			s.Failure, s.Due = "its volume is not attached yet: "+plain(err), now.Add(pauseAfter(s.Tries))
		default:
			s.Attached, s.Tries, s.Failure, s.Due = now, 0, "", time.Time{}
		}
	})
	return write
}

// ReplaceMachine ends the machine of an instance and launches another in its place, which
// goes on with what is on its volume. snapshot has the disks of the old one kept, so that
// the cause of what ails it can be found. It returns the id of the new instance. Errors:
// ErrNotFound, ErrForbidden, *ConflictError.
func (c *Console) ReplaceMachine(ctx context.Context, a Actor, instance string, snapshot bool) (id string, err error) {
	err = c.store.Update(ctx, func(tx Tx) error {
		i, e, err := c.instanceFor(tx, a, Manage, instance)
		if err != nil {
			return err
		}
		d, err := get[Deployment](tx, i.Deployment)
		if err != nil {
			return err
		}
		if err := c.mayReplace(i, d, e, snapshot); err != nil {
			return err
		}
		next, err := c.inPlaceOf(tx, &i, e, d)
		if err != nil {
			return err
		}
		if i.end(c.now()); snapshot {
			i.Snapshot = "sick, and replaced by " + next.ID
		}
		i.want(e)
		id = next.ID
		return errors.Join(put(tx, i), c.look(tx, e.ID), c.audit(tx, a, "replace", "instance/"+i.ID, "launched "+next.ID+" in its place"))
	})
	if err == nil {
		c.nudge()
	}
	return id, err
}

// mayReplace says why the machine of an instance cannot be replaced.
func (c *Console) mayReplace(i Instance, d Deployment, e Event, snapshot bool) error {
	_, keeps := c.opts.Clouds[i.Cloud].(VolumeKeeper)
	switch {
	case e.State != EventOpen && e.State != EventFrozen:
		return &ConflictError{fmt.Sprintf("%s is %s, and nothing is launched for it now", e.Name, e.State)}
	case i.State != InstanceStarting && i.State != InstanceLive:
		return &ConflictError{fmt.Sprintf("%s is %s, and has no machine to be replaced", i.ID, i.State)}
	case d.Plan.Bake:
		return &ConflictError{"an image is made of this machine; bake the app again"}
	case d.HasState() && !d.onVolume():
		return &ConflictError{"what visitors wrote is on this machine's own disk, and would go with it; launch the app again, with a backup to begin with"}
	case snapshot && !keeps:
		return &ConflictError{i.Cloud + " keeps no disks of its machines; replace it without"}
	}
	return nil
}

// inPlaceOf makes another instance that takes the place of one.
func (c *Console) inPlaceOf(tx Tx, i *Instance, e Event, d Deployment) (next Instance, err error) {
	all, err := instancesIn(tx, d)
	if err != nil {
		return next, err
	}
	highest := 0
	for _, other := range all {
		highest = max(highest, other.Number)
	}
	next = c.newInstance(e, d, highest+1)
	next.Replaces, next.Due = i.ID, c.now()
	// Until one was live its disk may never have been formatted. What is not blank is only
	// mounted in any case; but one that reads blank after that is not what it should be.
	next.Inherits = i.Inherits || !i.LiveSince.IsZero()
	i.ReplacedBy = next.ID
	return next, put(tx, next)
}

// keepDisks keeps the disks of a machine that is to be taken away, where somebody asked
// for that. Its error is to be tried again.
func (r *reconciler) keepDisks(ctx context.Context, s subject) error {
	_, keeps := r.c.opts.Clouds[s.Cloud].(VolumeKeeper)
	if s.Snapshot == "" || !s.Snapped.IsZero() || !keeps || s.Tries >= mostSnapshots {
		return nil
	}
	keeper, err := r.volumes(ctx, s.Cloud)
	if err != nil {
		return err
	}
	within, cancel := context.WithTimeout(ctx, attachTimeout)
	defer cancel()
	made, err := keeper.Snapshot(within, s.ID, s.Snapshot)
	if err != nil {
		return fmt.Errorf("keep its disks: %w", err)
	}
	_, err = r.c.turnInstance(ctx, s.ID, func(s *subject) { s.Snapped = r.c.now() })
	r.c.log.Info("kept the disks of a sick machine", "instance", s.ID, "disks", len(made))
	return err
}
