package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/machine"
)

// volumes are the disks of a folder for state, each of a deployment.
type volumes struct {
	dir  string // the cloud's
	held func(context.Context) ([]console.Machine, error)

	mu sync.Mutex // held while it is decided who has a volume
}

func (v *volumes) shelf() shelf     { return shelf(filepath.Join(v.dir, ".volumes")) }
func (v *volumes) snapshots() shelf { return shelf(filepath.Join(v.dir, ".snapshots")) }

// nameFor is an id that is always the same for what it is made of.
func nameFor(kind string, of ...string) string {
	sum := sha256.New()
	for _, part := range of {
		fmt.Fprintf(sum, "%q ", part)
	}
	return kind + "-" + hex.EncodeToString(sum.Sum(nil))[:16]
}

// check says why a machine cannot be launched for a volume.
func (v *volumes) check(id string) error {
	if id == "" {
		return nil
	}
	_, found, err := v.shelf().find(id)
	if err == nil && !found {
		err = fmt.Errorf("the volume %s that its state is on is not there any more; launch it with a new one, and restore its last backup", id)
	}
	return err
}

// of are the volumes that the machine of an instance is to have.
func (v *volumes) of(instance string) (found []machine.Volume, err error) {
	all, err := v.shelf().all()
	for _, d := range all {
		if d.Instance == instance {
			found = append(found, v.volume(d.ID))
		}
	}
	return found, err
}

func (v *volumes) volume(id string) machine.Volume {
	return machine.Volume{Path: v.shelf().path(id), Serial: id}
}

// offer has an instance that is about to be launched start with a volume, where nobody
// has it. Else it is attached later.
func (v *volumes) offer(id, instance string) error {
	if id == "" {
		return nil
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	d, found, err := v.shelf().find(id)
	if err != nil || !found {
		return errors.Join(err, v.check(id))
	}
	if v.taken(context.Background(), d, instance) != nil {
		return nil
	}
	d.Instance = instance
	return v.shelf().write(d)
}

// taken says that another machine than that of an instance has a volume, or will when it
// is started again. One that is stopped is never started again.
func (v *volumes) taken(ctx context.Context, d disk, instance string) error {
	if d.Instance == "" || d.Instance == instance {
		return nil
	}
	machines, err := v.held(ctx)
	if err != nil {
		return err
	}
	for _, m := range machines {
		if m.Instance == d.Instance && m.State != console.MachineStopped {
			return fmt.Errorf("the volume %s is that of %s, whose machine is %s; turn that off first", d.ID, d.Instance, m.State)
		}
	}
	return nil
}

// MakeVolume implements console.VolumeKeeper.
func (c *Cloud) MakeVolume(ctx context.Context, ask console.VolumeAsk) (console.Volume, error) {
	v := &c.kind.volumes
	v.mu.Lock()
	defer v.mu.Unlock()
	id := nameFor("vol", ask.EventID, ask.Deployment)
	_, found, err := v.shelf().find(id)
	if err == nil && !found {
		err = v.make(ctx, id, ask)
	}
	if err != nil {
		return console.Volume{}, fmt.Errorf("make volume for %s: %w", ask.Deployment, err)
	}
	return console.Volume{ID: id}, nil
}

func (v *volumes) make(ctx context.Context, id string, ask console.VolumeAsk) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := disk{ID: id, Event: ask.Event, EventID: ask.EventID, Deployment: ask.Deployment, Raw: true, Made: time.Now().UTC(),
		Detail: "the state of " + ask.App}
	if ask.Snapshot == "" {
		if err := checkFree(v.dir, ask.VolumeSize); err != nil {
			return err
		}
		return v.shelf().add(d, func(path string) error { return blank(path, ask.VolumeSize) })
	}
	from, found, err := v.snapshots().find(ask.Snapshot)
	if err == nil && (!found || !from.Raw) {
		err = fmt.Errorf("the snapshot %s is not there, or not one of a volume; begin with another, or with nothing", ask.Snapshot)
	}
	if err != nil {
		return err
	}
	return v.shelf().add(d, func(path string) error {
		return errors.Join(copyDisk(ctx, v.snapshots().path(from.ID), path), grow(path, ask.VolumeSize))
	})
}

// blank makes a file of a size that reads as zeros and takes no space yet.
func blank(path string, size int64) error {
	if size <= 0 {
		return fmt.Errorf("a volume has %d bytes", size)
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(wholeMB(size)), f.Sync(), f.Close())
}

// grow makes a copy as large as it is to be, and no smaller than it was.
func grow(path string, size int64) error {
	info, err := os.Stat(path)
	if err != nil || info.Size() >= size {
		return err
	}
	return os.Truncate(path, wholeMB(size))
}

func wholeMB(size int64) int64 { return (size + 1<<20 - 1) >> 20 << 20 }

// checkFree says whether all of a disk could be written.
func checkFree(dir string, size int64) error {
	var space unix.Statfs_t
	if err := unix.Statfs(dir, &space); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	if free := int64(space.Bavail) * space.Bsize; free < size {
		return fmt.Errorf("the disk of %s has %d MB free, and it wants %d MB; free space there, or ask for less", dir, free>>20, size>>20)
	}
	return nil
}

// Attach implements console.VolumeKeeper.
func (c *Cloud) Attach(ctx context.Context, volume, instance string) error {
	if err := c.attach(ctx, volume, instance); err != nil {
		return fmt.Errorf("attach volume %s to %s: %w", volume, instance, err)
	}
	return nil
}

func (c *Cloud) attach(ctx context.Context, volume, instance string) error {
	v := &c.kind.volumes
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.check(volume); err != nil || volume == "" {
		return errors.Join(err, ctx.Err())
	}
	_, m, err := c.machine(ctx, instance)
	if err != nil {
		return err
	}
	if m.State != console.MachineRunning {
		return fmt.Errorf("its machine is %s; wait until it runs", m.State)
	}
	d, _, err := v.shelf().find(volume)
	if err == nil {
		err = v.taken(ctx, d, instance)
	}
	if err != nil {
		return err
	}
	if d.Instance != instance { // which is told at each start from now on
		d.Instance = instance
		if err := v.shelf().write(d); err != nil {
			return err
		}
	}
	return attach(ctx, c.kind.Dir, m.ID, v.volume(volume))
}

// machine is that of an instance, and how it is.
func (c *Cloud) machine(ctx context.Context, instance string) (kept.Machine, console.Machine, error) {
	machines, shown, err := c.Cloud.Held(ctx)
	for i, m := range machines {
		if m.Instance == instance {
			return m, shown[i], nil
		}
	}
	return kept.Machine{}, console.Machine{}, errors.Join(err, fmt.Errorf("there is no machine of %s", instance))
}
