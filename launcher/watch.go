package launcher

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// unhealthyAfter is how many checks in a row must fail before an app is called
// unhealthy: one lost answer is not a sick app.
const unhealthyAfter = 3

// steady is how long an app must run for its earlier crashes to be forgotten.
const steady = 5 * time.Minute

// watch keeps the served app alive until ctx ends: it is checked at every
// interval, and started again, ever more slowly, when it ends or stays unhealthy.
func (a *Appliance) watch(ctx context.Context) {
	delay, failed := firstRetry/2, 0
	pruned, stale := time.Now(), ""
	var before, replacing *running // what was watched a moment ago; what could not be replaced yet
	for {
		r := a.serving()
		if r != before {
			before, failed = r, 0
		}
		timer := time.NewTimer(time.Duration(r.manifest.HealthCheck.Interval))
		var sick error
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-r.died():
			timer.Stop()
			if a.serving() != r {
				continue // it was replaced, and stopped for that
			}
			if r == replacing {
				sick = a.health() // why it could not be started again is the newer news
			} else {
				sick = r.ended()
			}
		case <-timer.C:
			err := r.check(ctx)
			switch {
			case err == nil:
				failed = 0
				a.setHealth(nil)
				if time.Since(a.servingNow().Since) > steady {
					delay = firstRetry / 2
				}
				if now := a.staleNow(); now != stale {
					stale = now
					a.showAbout()
				}
				if time.Since(pruned) > keepReplaced {
					pruned = time.Now()
					a.pruneNow(ctx)
				}
				continue
			case a.serving() != r:
				continue
			}
			if failed++; failed < unhealthyAfter {
				continue
			}
			sick = &phaseError{PhaseCheck, err.Error(), err}
		}
		if ctx.Err() != nil {
			return
		}
		failed, replacing = 0, r
		a.setHealth(sick)
		if a.takeBack(ctx, r, sick) == nil {
			continue
		}
		if pause(ctx, jitter(delay)) != nil {
			return
		}
		delay = min(2*delay, lastRetry)
		a.restart(ctx, r)
	}
}

// pruneNow removes what was kept for slow readers of the last change, though no
// other change comes.
func (a *Appliance) pruneNow(ctx context.Context) {
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return
	}
	defer unlock()
	a.prune()
}

// health is what the last check, or the last try to start the app, said.
func (a *Appliance) health() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.healthErr
}

// setHealth keeps what the last check said; a change is written down.
func (a *Appliance) setHealth(err error) {
	a.mu.Lock()
	was := a.healthErr
	a.healthErr = err
	a.mu.Unlock()
	if err != nil {
		a.front.SetUnhealthy(publicCause(err))
	}
	if (was == nil) == (err == nil) {
		return
	}
	if err != nil {
		a.log.Warn("unhealthy", "err", err)
		a.record(Entry{Event: "unhealthy", Message: err.Error()})
		a.showAbout()
		return
	}
	a.front.SetUnhealthy("")
	a.log.Info("healthy again")
	a.record(Entry{Event: "healthy"})
	a.showAbout()
}

// restart starts the served pair again beside the sick one. Should that one have
// got well or been replaced meanwhile, nothing happens.
func (a *Appliance) restart(ctx context.Context, sick *running) {
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return
	}
	defer unlock()
	if a.serving() != sick {
		return
	}
	a.restarts.Add(1)
	if sick.process != nil {
		// It is ended first: what holds a lock in the state folder must let go of it.
		if err := sick.process.Stop(ctx); err != nil {
			a.log.Error("stop app", "err", err)
		}
	}
	a.record(Entry{Event: "restart"})
	if err := a.activate(ctx, sick.pair); err != nil && ctx.Err() == nil {
		a.log.Warn("restart app", "err", err)
		a.setHealth(err)
	}
}

// errNoWayBack says that there is no earlier release to take an unhealthy one back to.
var errNoWayBack = errors.New("no earlier release to go back to")

// takeBack undoes a service update whose release turned unhealthy soon after it
// was flipped to. The release is refused: it is not tried again until upstream moves.
func (a *Appliance) takeBack(ctx context.Context, sick *running, why error) error {
	a.mu.Lock()
	last := a.update
	a.mu.Unlock()
	held := a.service.syncer.Status().Held == sick.Release // somebody wants it, as it is
	if last.to != sick.Release || last.from == "" || held || time.Since(last.at) > probation {
		return errNoWayBack
	}
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	if a.serving() != sick {
		return nil
	}
	if err := a.activate(ctx, pair{Release: last.from, Revision: sick.Revision}); err != nil {
		return err
	}
	a.onProbation(update{})
	a.service.syncer.Refuse(sick.Release, fmt.Errorf("it turned unhealthy after %s: %w", time.Since(last.at).Round(time.Second), why))
	a.record(Entry{Event: "rollback", Release: string(last.from), Message: why.Error()})
	a.log.Warn("release taken back", "commit", sick.Release.Short(), "to", last.from.Short(), "err", why)
	return nil
}
