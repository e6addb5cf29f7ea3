package launcher

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"

	"popup/launcher/volume"
)

// A stateDisk is what the state is on.
type stateDisk struct {
	volume  *volume.Volume // nil: the machine's own
	mounted chan struct{}  // closed when the state is there to be opened
}

// volumeOf is the disk that the plan has the state on; nil: the machine's own.
func (a *Appliance) volumeOf() (*volume.Volume, error) {
	plan := a.opts.Plan.State.Volume
	if plan == nil {
		return nil, nil
	}
	v := &volume.Volume{ID: plan.ID, Fresh: plan.Fresh, At: a.at.state(), Began: a.at.formatting()}
	return v, errors.Join(plan.Check(), v.Allowed())
}

// prepareState settles a state that is there already. One on a volume is not there
// before mountState.
func (a *Appliance) prepareState() error {
	if a.volume != nil {
		return nil
	}
	close(a.mounted)
	return a.settleState()
}

// mountState mounts the volume that the state is on, however long that takes. It returns
// only nil or ctx's error.
func (a *Appliance) mountState(ctx context.Context) error {
	if a.volume == nil {
		return nil
	}
	err := a.retry(ctx, PhaseVolume, nil, func() error {
		if err := a.volume.Mount(ctx); err != nil {
			return &phaseError{PhaseVolume, volumeCause(err), err}
		}
		if err := a.takeVolume(); err != nil {
			return err
		}
		return a.settleState()
	})
	if err == nil {
		close(a.mounted)
		a.board.done(PhaseVolume)
	}
	return err
}

// volumeCause is what the boot page says of err.
func volumeCause(err error) string {
	var e *volume.Error
	switch {
	case !errors.As(err, &e):
		return "the state's disk could not be mounted"
	case e.Away:
		return "the state's disk is not attached yet"
	}
	return "the state's disk is not mounted: " + e.Why
}

// takeVolume gives what is on the volume to the app, whose user may have had another
// number on the machine that it was on before.
func (a *Appliance) takeVolume() error {
	info, err := os.Stat(a.at.state())
	if err != nil {
		return fmt.Errorf("look at the state's disk: %w", err)
	}
	uid, gid := a.ids()
	owner, ok := info.Sys().(*syscall.Stat_t)
	if ok && int(owner.Uid) == uid && int(owner.Gid) == gid && info.Mode().Perm() == 0o700 {
		return nil
	}
	if err := a.giveTree(a.at.state()); err != nil {
		return fmt.Errorf("give the state's disk to the app: %w", err)
	}
	return nil
}

// errUnmounted says that there is no telling what the state is.
var errUnmounted = errors.New("the disk that the state is on is not mounted yet; popup status says why")

// openState opens the folder of the state, which may not be there yet.
func (a *Appliance) openState() (*os.Root, error) {
	if !a.hasState() {
		return nil, errUnmounted
	}
	return os.OpenRoot(a.at.state())
}

func (a *Appliance) hasState() bool {
	select {
	case <-a.mounted:
		return true
	default:
		return false
	}
}

// leaveState lets go of the volume before the machine is turned off. That is turned off
// in any case: what was written is written then too.
func (a *Appliance) leaveState() {
	if a.volume == nil || !a.hasState() {
		return
	}
	if err := a.volume.Unmount(); err != nil {
		a.log.Error("unmount the state's disk", "err", err)
		a.record(Entry{Event: "end", Message: err.Error()})
		return
	}
	a.record(Entry{Event: "end", Message: "the state's disk is unmounted"})
}
