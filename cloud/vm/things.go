package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"popup/console"
	"popup/internal/machine"
)

// Held implements console.Holder.
func (c *Cloud) Held(ctx context.Context, eventID string) ([]console.Thing, error) {
	things, err := c.things(ctx, eventID)
	if err != nil {
		return nil, fmt.Errorf("list what there is of event %s: %w", eventID, err)
	}
	return things, nil
}

func (c *Cloud) things(ctx context.Context, eventID string) (things []console.Thing, err error) {
	machines, shown, err := c.Cloud.Held(ctx)
	if err != nil {
		return nil, err
	}
	for i, m := range machines {
		if m.EventID == eventID {
			things = append(things, console.Thing{Kind: console.ThingMachine, ID: shown[i].ID, Deployment: m.Deployment, Instance: m.Instance, Detail: shown[i].Detail})
		}
	}
	for kind, shelf := range map[console.ThingKind]shelf{console.ThingVolume: c.kind.volumes.shelf(), console.ThingSnapshot: c.kind.volumes.snapshots()} {
		disks, err := shelf.all()
		if err != nil {
			return nil, err
		}
		for _, d := range disks {
			if d.EventID == eventID {
				things = append(things, thing(kind, d))
			}
		}
	}
	return things, nil
}

func thing(kind console.ThingKind, d disk) console.Thing {
	return console.Thing{Kind: kind, ID: d.ID, Deployment: d.Deployment, Instance: d.Instance, Detail: d.Detail}
}

// Remove implements console.Holder.
func (c *Cloud) Remove(ctx context.Context, t console.Thing) error {
	v := &c.kind.volumes
	v.mu.Lock()
	defer v.mu.Unlock()
	err := ctx.Err()
	switch {
	case err != nil:
	case t.Kind == console.ThingSnapshot:
		err = v.snapshots().remove(t.ID)
	case t.Kind == console.ThingVolume:
		d, found, findErr := v.shelf().find(t.ID)
		if err = findErr; err == nil && found {
			err = v.taken(ctx, d, "")
		}
		if err == nil {
			err = v.shelf().remove(t.ID)
		}
	default:
		err = fmt.Errorf("there is no %s that is removed by itself here", t.Kind)
	}
	if err != nil {
		return fmt.Errorf("remove %s %s: %w", t.Kind, t.ID, err)
	}
	return nil
}

// Snapshot implements console.VolumeKeeper. A machine that runs is paused meanwhile.
func (c *Cloud) Snapshot(ctx context.Context, instance, why string) ([]console.Thing, error) {
	things, err := c.snapshot(ctx, instance, why)
	if err != nil {
		return things, fmt.Errorf("keep the disks of %s: %w", instance, err)
	}
	return things, nil
}

func (c *Cloud) snapshot(ctx context.Context, instance, why string) (things []console.Thing, failure error) {
	m, shown, err := c.machine(ctx, instance)
	if err != nil {
		return nil, err
	}
	v := &c.kind.volumes
	v.mu.Lock()
	defer v.mu.Unlock()
	if shown.State != console.MachineStopped {
		letGo, err := hold(ctx, c.kind.Dir, shown.ID)
		if err != nil && !errors.Is(err, errNoKeeper) {
			return nil, err
		}
		if err == nil {
			defer func() { failure = errors.Join(failure, letGo()) }()
		}
	}
	disks, err := v.of(instance)
	if err != nil {
		return nil, err
	}
	for _, from := range append([]machine.Volume{{Path: m.At(machine.DiskName)}}, disks...) {
		d := disk{ID: nameFor("snap", instance, from.Serial), Event: m.Event, EventID: m.EventID, Deployment: m.Deployment, Instance: instance,
			Raw: from.Serial != "", Made: time.Now().UTC(), Detail: why}
		if err := c.keep(ctx, d, from.Path); err != nil {
			return things, err
		}
		things = append(things, thing(console.ThingSnapshot, d))
	}
	return things, nil
}

// keep copies a disk, unless that was done.
func (c *Cloud) keep(ctx context.Context, d disk, from string) error {
	shelf := c.kind.volumes.snapshots()
	if _, found, err := shelf.find(d.ID); err != nil || found {
		return err
	}
	info, err := os.Stat(from)
	if errors.Is(err, os.ErrNotExist) {
		return errors.New("its machine has no disk yet; wait until it runs")
	}
	if err == nil && !d.Raw {
		err = checkFree(c.kind.Dir, info.Size())
	}
	if err != nil {
		return err
	}
	return shelf.add(d, func(path string) error { return copyDisk(ctx, from, path) })
}
