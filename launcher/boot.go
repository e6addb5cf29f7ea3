package launcher

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"time"

	"popup/datasync"
	"popup/internal/wire"
)

// What failed is tried again after firstRetry, then twice as long, up to lastRetry.
// Somebody looks on while an instance boots, so that it hurries more than a sync.
const (
	firstRetry = 2 * time.Second
	lastRetry  = time.Minute
)

// boot goes from nothing, or from what an earlier start left, to a served app.
// It only gives up when ctx ends, and where an image is baked.
func (a *Appliance) boot(ctx context.Context) error {
	if a.opts.Plan.Bake {
		return errBakes
	}
	a.jobs.Go(func() { a.restoreFirst(ctx) })
	p, err := a.install(ctx)
	if err != nil {
		return err
	}
	backoff, asked := a.backoff(PhaseStart, a.readers()), error(nil)
	for failed := 1; ; failed++ {
		if err = a.firstFlip(ctx, p); err == nil {
			break
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		wait := backoff.Wait(failed, asked)
		a.board.failed(PhaseStart, err, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
		p, asked = a.newest(ctx, p)
	}
	a.jobs.Go(func() { a.afterFirstFlip(ctx) })
	return nil
}

func (a *Appliance) firstFlip(ctx context.Context, p pair) error {
	if m, err := a.manifest(p.Release); err == nil { // else activate says what is wrong with it
		if err := a.awaitSettings(ctx, m); err != nil {
			return err
		}
	}
	if err := a.awaitState(ctx); err != nil {
		return err
	}
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
		errs[0] = a.retry(ctx, PhaseService, a.service, func() (err error) {
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
			errs[1] = a.retry(ctx, PhaseData, a.data, func() (err error) {
				p.Revision, _, err = a.data.stage(ctx)
				return err
			})
		}
		if errs[1] == nil {
			a.board.done(PhaseData)
		}
	})
	wait.Go(func() {
		errs[2] = a.retry(ctx, PhasePackages, nil, func() error {
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
	return p, a.retry(ctx, PhaseStart, nil, func() error {
		return a.memory.update(func(f *facts) { f.Sources = a.sources() })
	})
}

// newest is p with what upstream has by now: the mend of what does not come up may
// be there. Upstream may as well be gone, and then p is what there is; the error,
// which was logged, may say when it wants to be asked again.
func (a *Appliance) newest(ctx context.Context, p pair) (pair, error) {
	id, _, err := a.service.stage(ctx)
	if err == nil {
		p.Release = id
	} else if ctx.Err() == nil {
		a.log.Warn("look for a newer release", "err", err)
	}
	if a.data == nil {
		return p, err
	}
	id, _, dataErr := a.data.stage(ctx)
	if dataErr == nil {
		p.Revision = id
	} else if ctx.Err() == nil {
		a.log.Warn("look for newer data", "err", dataErr)
	}
	return p, errors.Join(err, dataErr)
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

// sources is a fingerprint of where the plan's trees come from, and what is taken of them.
func (a *Appliance) sources() string {
	h := fnv.New64a()
	for _, s := range []*wire.Source{&a.opts.Plan.Service, a.opts.Plan.Data} {
		if s != nil {
			fmt.Fprintf(h, "%q", []string{s.Kind, s.URL, s.Ref, s.Endpoint, s.Region})
		}
	}
	if data := a.opts.Plan.Manifest.Data; data != nil {
		fmt.Fprintf(h, "%q", data.Extract) // another archive of the same revision is other data
	}
	return fmt.Sprintf("%x", h.Sum64())
}

// packagesOnce lets the builds begin.
func (a *Appliance) packagesOnce() { a.packagesSet.Do(func() { close(a.packagesReady) }) }

// retry runs step until it succeeds, showing each failure on phase, and on s where
// that is a stream's. It returns only nil or ctx's error; a bake gives up.
func (a *Appliance) retry(ctx context.Context, phase PhaseName, s *stream, step func() error) error {
	backoff, plan := a.backoff(phase, 0), func(time.Time) {}
	if s != nil {
		backoff, plan = a.backoff(phase, a.readers()), s.syncer.Plan
	}
	defer func() { plan(time.Time{}) }()
	for failed := 1; ; failed++ {
		a.board.running(phase)
		err := step()
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if a.giveUp != nil && failed >= bakeTries {
			a.board.failed(phase, err, 0)
			a.giveUp(err)
			return err
		}
		wait := backoff.Wait(failed, err)
		plan(time.Now().Add(wait))
		a.board.failed(phase, err, wait)
		if err := pause(ctx, wait); err != nil {
			return err
		}
	}
}

// backoff is how a boot waits. What asks a host that a whole fleet asks takes its turn.
func (a *Appliance) backoff(phase PhaseName, readers int) datasync.Backoff {
	return datasync.Backoff{Instance: a.memory.get().Instance + " " + string(phase), Fleet: readers,
		First: firstRetry, Least: firstRetry / 2, Most: lastRetry}
}

// readers is how many are alike in asking a host: the whole fleet, and twice as many
// where service and data come from the same one.
func (a *Appliance) readers() int {
	plan, fleet := a.opts.Plan, max(a.opts.Plan.Fleet, 1)
	if plan.Data != nil && plan.Manifest.Service.Update.Schedule != "" && hostOf(plan.Service.URL) == hostOf(plan.Data.URL) {
		return 2 * fleet
	}
	return fleet
}

// hostOf is the host of an address: of a URL, or of user@host:path.
func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Hostname()
	}
	host, _, _ := strings.Cut(address, ":")
	return host[strings.LastIndexByte(host, '@')+1:]
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
	a.follow(ctx, "sync service", a.service, a.syncService)
	a.follow(ctx, "sync data", a.data, a.syncData)
	if a.backups.Next(time.Now()).IsZero() {
		return
	}
	a.jobs.Go(func() {
		err := a.backups.Run(ctx, func(ctx context.Context) {
			if _, err := a.backup(ctx, backupOrder{Prepare: true}); err != nil && ctx.Err() == nil {
				a.log.Warn("back up", "err", err)
			}
		})
		if ctx.Err() == nil {
			a.log.Error("schedule ended: back up", "err", err)
		}
	})
}

func (a *Appliance) follow(ctx context.Context, what string, s *stream, sync func(context.Context, *pass) (bool, error)) {
	if s == nil || s.schedule.Next(time.Now()).IsZero() {
		return
	}
	a.jobs.Go(func() {
		err := s.syncer.Follow(ctx, func(ctx context.Context) error {
			_, err := sync(ctx, &pass{})
			if err != nil && ctx.Err() == nil {
				a.log.Warn(what, "err", err)
			}
			return err
		})
		if ctx.Err() == nil {
			a.log.Error("schedule ended: "+what, "err", err)
		}
	})
}
