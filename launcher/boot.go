package launcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"

	"popup/datasync"
	"popup/internal/wire"
)

// A failed phase is tried again after firstRetry, then twice as long, up to lastRetry.
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// boot goes from nothing, or from what an earlier start left, to a served app.
// It only gives up when ctx ends.
func (a *Appliance) boot(ctx context.Context) error {
	p, err := a.install(ctx)
	if err != nil {
		return err
	}
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		if err = a.firstFlip(ctx, p); err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := jitter(delay)
		a.board.failed(PhaseStart, err, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		p = a.newest(ctx, p)
	}
	a.jobs.Go(func() { a.afterFirstFlip(ctx) })
	return nil
}

func (a *Appliance) firstFlip(ctx context.Context, p pair) error {
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	return a.activate(ctx, p)
}

// afterFirstFlip runs what an app asks for once in an instance's life.
func (a *Appliance) afterFirstFlip(ctx context.Context) {
	if a.memory.get().Postdeploy {
		return
	}
	r := a.serving()
	if err := a.script(ctx, r, "postdeploy", r.manifest.Scripts.Postdeploy); err != nil {
		a.note("%v; it is run again at the next start", err)
		a.record(Entry{Event: "script", Message: err.Error()})
		return
	}
	if err := a.memory.update(func(f *facts) { f.Postdeploy = true }); err != nil {
		a.log.Error("remember postdeploy", "err", err)
	}
}

// install returns the pair to serve. A pair that an earlier start served is kept:
// a reboot is not a second install, and needs no network.
func (a *Appliance) install(ctx context.Context) (pair, error) {
	if p, ok := a.kept(); ok {
		for _, phase := range []PhaseName{PhaseService, PhaseData, PhasePackages, PhaseBuild} {
			a.board.kept(phase)
		}
		a.packagesOnce()
		return p, nil
	}
	var p pair
	var wait sync.WaitGroup
	errs := make([]error, 3)
	wait.Go(func() {
		errs[0] = a.retry(ctx, PhaseService, func() (err error) {
			p.Release, _, err = a.service.stage(ctx)
			return err
		})
		if errs[0] == nil {
			a.board.done(PhaseService)
			a.board.done(PhaseBuild)
		}
	})
	wait.Go(func() {
		if a.data != nil {
			errs[1] = a.retry(ctx, PhaseData, func() (err error) {
				p.Revision, _, err = a.data.stage(ctx)
				return err
			})
		}
		if errs[1] == nil {
			a.board.done(PhaseData)
		}
	})
	wait.Go(func() {
		errs[2] = a.retry(ctx, PhasePackages, func() error {
			note, err := a.installPackages(ctx, a.opts.Plan.Manifest.Packages)
			if note != "" {
				a.note("packages: %s", note)
			}
			return err
		})
		if errs[2] == nil {
			a.board.done(PhasePackages)
			a.packagesOnce()
		}
	})
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return pair{}, err
	}
	return p, a.retry(ctx, PhaseStart, func() error {
		return a.memory.update(func(f *facts) { f.Sources = a.sources() })
	})
}

// newest is p with what upstream has by now: the mend of what does not come up may
// be there. Upstream may as well be gone, and then p is what there is.
func (a *Appliance) newest(ctx context.Context, p pair) pair {
	if id, _, err := a.service.stage(ctx); err == nil {
		p.Release = id
	} else if ctx.Err() == nil {
		a.log.Warn("look for a newer release", "err", err)
	}
	if a.data == nil {
		return p
	}
	if id, _, err := a.data.stage(ctx); err == nil {
		p.Revision = id
	} else if ctx.Err() == nil {
		a.log.Warn("look for newer data", "err", err)
	}
	return p
}

// kept is the pair of an earlier start, if it is whole and from the sources that
// the plan names today.
func (a *Appliance) kept() (pair, bool) {
	release, ok := a.service.publisher.Current()
	if !ok || a.memory.get().Sources != a.sources() {
		return pair{}, false
	}
	p := pair{Release: release}
	if a.data != nil {
		if p.Revision, ok = a.data.publisher.Current(); !ok {
			return pair{}, false
		}
	}
	return p, true
}

// sources is a fingerprint of where the plan's trees come from.
func (a *Appliance) sources() string {
	h := fnv.New64a()
	for _, s := range []*wire.Source{&a.opts.Plan.Service, a.opts.Plan.Data} {
		if s != nil {
			fmt.Fprintf(h, "%s\x00%s\x00%s\x00", s.Kind, s.URL, s.Ref)
		}
	}
	return fmt.Sprintf("%x", h.Sum64())
}

// packagesOnce lets the builds begin.
func (a *Appliance) packagesOnce() { a.packagesSet.Do(func() { close(a.packagesReady) }) }

// retry runs step until it succeeds, showing each failure on phase. It returns
// only nil or ctx's error.
func (a *Appliance) retry(ctx context.Context, phase PhaseName, step func() error) error {
	for delay := firstRetry; ; delay = min(2*delay, lastRetry) {
		a.board.running(phase)
		err := step()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := max(jitter(delay), retryAfter(err))
		a.board.failed(phase, err, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// retryAfter is how long the other side asked to be left alone.
func retryAfter(err error) time.Duration {
	var asked interface{ RetryAfter() time.Duration }
	if errors.As(err, &asked) {
		return asked.RetryAfter()
	}
	return 0
}

// jitter spreads retries of many instances that failed together.
func jitter(d time.Duration) time.Duration {
	return d*3/4 + rand.N(d/2)
}

// pause waits for d, or until ctx ends.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// startSchedules looks for new data and releases, and backs up, as the manifest says.
func (a *Appliance) startSchedules(ctx context.Context) {
	a.schedule(ctx, "sync service", a.service.schedule, a.syncService)
	if a.data != nil {
		a.schedule(ctx, "sync data", a.data.schedule, a.syncData)
	}
	a.schedule(ctx, "back up", a.backups, func(ctx context.Context) (bool, error) {
		_, err := a.backup(ctx, true)
		return true, err
	})
}

func (a *Appliance) schedule(ctx context.Context, what string, s datasync.Schedule, run func(context.Context) (bool, error)) {
	if s.Next(time.Now()).IsZero() {
		return
	}
	a.jobs.Go(func() {
		err := s.Run(ctx, func(ctx context.Context) {
			if _, err := run(ctx); err != nil && ctx.Err() == nil {
				a.log.Warn(what, "err", err)
			}
		})
		if ctx.Err() == nil {
			a.log.Error("schedule ended: "+what, "err", err)
		}
	})
}
