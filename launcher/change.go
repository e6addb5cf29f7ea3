package launcher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"popup/datasync"
	"popup/launcher/front"
)

// probation is how long a new release is watched: turning unhealthy within it,
// it is taken back by itself.
const probation = 10 * time.Minute

// activate serves p instead of what is served: start it beside, check it, flip.
// On an error nothing changed. The caller holds the change lock.
func (a *Appliance) activate(ctx context.Context, p pair) error {
	before := a.serving()
	if before != nil && before.Release == p.Release && before.Revision != p.Revision && before.followsData() {
		return a.repoint(ctx, before, p)
	}
	a.during(before, PhaseStart)
	next, err := a.start(ctx, p, !pinned)
	if err != nil {
		return err
	}
	a.passed(before, PhaseStart)
	a.during(before, PhaseCheck)
	if err := a.awaitHealthy(ctx, next); err != nil {
		next.stop(context.WithoutCancel(ctx))
		return err
	}
	a.passed(before, PhaseCheck)
	if err := a.publish(p); err != nil {
		next.stop(context.WithoutCancel(ctx))
		return err
	}
	a.flip(next)
	return nil
}

// repoint moves the pointer under a program that goes on running. Before that, a
// second one is started on the new revision alone, checked, and stopped: no
// reader meets data that the app cannot show.
func (a *Appliance) repoint(ctx context.Context, r *running, p pair) error {
	probe, err := a.start(ctx, p, pinned)
	if err != nil {
		return err
	}
	err = a.awaitHealthy(ctx, probe)
	probe.stop(context.WithoutCancel(ctx))
	if err != nil {
		return err
	}
	if err := a.data.syncer.Publish(p.Revision); err != nil {
		return err
	}
	a.mu.Lock()
	r.Revision = p.Revision // all else of r never changes, and is read without the lock
	a.since = time.Now().UTC()
	a.mu.Unlock()
	a.announce(p)
	return nil
}

// publish moves the pointers on disk, which say what the next start serves.
func (a *Appliance) publish(p pair) error {
	if err := a.service.syncer.Publish(p.Release); err != nil {
		return err
	}
	if a.data == nil {
		return nil
	}
	return a.data.syncer.Publish(p.Revision)
}

// flip sends new requests to next. What was served is stopped when its last request is done.
func (a *Appliance) flip(next *running) {
	now := time.Now().UTC()
	a.mu.Lock()
	a.current, a.since = next, now
	a.mu.Unlock()
	a.front.Flip(front.Serving{
		Handler: next.handler, Release: string(next.Release), Revision: string(next.Revision),
		Stop: func() { next.stop(context.WithoutCancel(a.ctx)) },
	})
	a.setHealth(nil)
	a.announce(next.pair)
}

func (a *Appliance) announce(p pair) {
	a.log.Info("serving", "commit", p.Release.Short(), "revision", p.Revision.Short())
	a.record(Entry{Event: "flip", Release: string(p.Release), Revision: string(p.Revision)})
	a.showAbout()
}

// during and passed move the boot page, which only stands until the first flip.
func (a *Appliance) during(before *running, phase PhaseName) {
	if before == nil {
		a.board.running(phase)
	}
}

func (a *Appliance) passed(before *running, phase PhaseName) {
	if before == nil {
		a.board.done(phase)
	}
}

// A pass is one look at the sources.
type pass struct {
	again bool          // what was refused is tried again
	cost  datasync.Cost // of the sources, so far
}

// charge adds what s spent since before.
func (p *pass) charge(s *stream, before datasync.Status) {
	after := s.syncer.Status()
	p.cost.Requests += after.Requests - before.Requests
	p.cost.BytesIn += after.BytesIn - before.BytesIn
	p.cost.BytesOut += after.BytesOut - before.BytesOut
}

// stage fetches the newest id that may be served. The caller holds the lock of s.
func (p *pass) stage(ctx context.Context, s *stream) (datasync.Revision, bool, error) {
	defer p.charge(s, s.syncer.Status())
	id, changed, err := s.syncer.Stage(ctx)
	var refused *datasync.RefusedError
	if !p.again || !errors.As(err, &refused) {
		return id, changed, err
	}
	if err := s.syncer.Forgive(refused.Refusal.Revision); err != nil {
		return "", false, err
	}
	return s.syncer.Stage(ctx)
}

// syncData brings the newest good revision, and syncService the newest good release.
func (a *Appliance) syncData(ctx context.Context, look *pass) (bool, error) {
	if a.data == nil {
		return false, nil
	}
	changed, err := a.syncStream(ctx, a.data, look, func(p *pair, id datasync.Revision) { p.Revision = id })
	if err != nil || !changed {
		return changed, err
	}
	r := a.serving()
	if err := a.script(ctx, r, "on_data_change", r.manifest.Scripts.OnDataChange); err != nil {
		a.record(Entry{Event: "script", Message: err.Error()})
		return true, err
	}
	return true, nil
}

func (a *Appliance) syncService(ctx context.Context, look *pass) (bool, error) {
	return a.syncStream(ctx, a.service, look, func(p *pair, id datasync.Revision) { p.Release = id })
}

// syncStream stages what is newest in s and serves it. An id that does not come
// up healthy is refused: it is remembered and not tried again until upstream moves.
func (a *Appliance) syncStream(ctx context.Context, s *stream, look *pass, set func(*pair, datasync.Revision)) (bool, error) {
	s.fetching.Lock() // until it is served: an older id must not overtake a newer one
	defer s.fetching.Unlock()
	id, changed, err := look.stage(ctx, s)
	if err != nil || !changed {
		return false, err
	}
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return false, err
	}
	defer unlock()
	current := a.serving()
	if current == nil {
		return false, errNotLive
	}
	next := current.pair
	set(&next, id)
	if next == current.pair && s == a.data && current.followsData() {
		return true, s.syncer.Publish(id) // it was mended on disk, and is read afresh for each request
	}
	if next == current.pair && s == a.service {
		a.views.renew()
	}
	if held := s.syncer.Status().Held; held != "" && held != id {
		return false, nil // somebody went back while this waited
	}
	if err := a.activate(ctx, next); err != nil {
		// Data that a busy machine was too slow to show may be shown the next time.
		slow := s == a.data && errors.Is(err, front.ErrNoAnswer)
		if ctx.Err() == nil && !machineFault(err) && !slow && next != current.pair {
			s.syncer.Refuse(id, err)
			a.record(Entry{Event: "refused", Release: string(next.Release), Revision: string(next.Revision), Message: err.Error()})
		}
		return false, err
	}
	if s == a.service {
		a.onProbation(update{from: current.Release, to: id, at: time.Now()})
	}
	a.prune()
	return true, nil
}

// onProbation remembers a service update, which takeBack may undo. What a person
// or takeBack itself changed is not undone by itself.
func (a *Appliance) onProbation(u update) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.update = u
}

// mayChange says why nothing can be changed now: there is nothing yet, or no more.
func (a *Appliance) mayChange() error {
	switch {
	case !a.isPrepared():
		return errNotLive
	case a.over():
		return errOver
	}
	return nil
}

// errOver says that an instance has come to its end.
var errOver = errors.New("this instance is over; launch another one")

// machineFault reports whether err is for want of something this machine lacks
// now: what could not be served for that is as good as before, and is tried again.
func machineFault(err error) bool {
	for _, lack := range []error{syscall.ENOSPC, syscall.EDQUOT, syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM, syscall.EAGAIN, errNoPHP} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

// errNotLive says that there is nothing to change yet.
var errNotLive = errors.New("the app is not live yet; popup status says how far it is")

// prune removes what nobody reads any more. It goes on though it fails, and says
// so. The caller holds the change lock.
func (a *Appliance) prune() {
	err := a.views.prune()
	err = errors.Join(err, a.service.publisher.Prune(a.views.uses))
	if a.data != nil {
		err = errors.Join(err, a.data.publisher.Prune(a.views.uses))
	}
	if err != nil {
		a.log.Error("remove what was replaced", "err", err)
	}
}

// Sync looks for a new release and a new revision now, and returns when what is
// served is what is wanted, or with the reason why it is not.
func (a *Appliance) Sync(ctx context.Context, order SyncOrder) (SyncReport, error) {
	if err := a.mayChange(); err != nil {
		return SyncReport{}, err
	}
	began, before, look := time.Now(), a.servingNow(), &pass{again: order.Retry}
	for _, s := range []*stream{a.service, a.data} {
		if s != nil {
			s.syncer.Recheck()
		}
	}
	_, serviceErr := a.syncService(ctx, look)
	_, dataErr := a.syncData(ctx, look)
	return a.report(before, began, look), errors.Join(inStream("service", serviceErr), inStream("data", dataErr))
}

func inStream(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sync %s: %w", what, err)
}

func (a *Appliance) report(before Serving, began time.Time, look *pass) SyncReport {
	served := a.servingNow()
	wanted := Serving{Release: a.service.syncer.Status().Wanted}
	if a.data != nil {
		wanted.Revision = a.data.syncer.Status().Wanted
	}
	return SyncReport{
		Served: served, Wanted: wanted, Took: time.Since(began).Round(time.Millisecond).String(),
		Changed:  before.Release != served.Release || before.Revision != served.Revision,
		Requests: look.cost.Requests, BytesIn: look.cost.BytesIn, BytesOut: look.cost.BytesOut,
	}
}

// Rollback serves an older release or revision and holds it, or lets a held one
// go forward again.
func (a *Appliance) Rollback(ctx context.Context, order RollbackOrder) (SyncReport, error) {
	if err := a.mayChange(); err != nil {
		return SyncReport{}, err
	}
	began, before, look := time.Now(), a.servingNow(), &pass{}
	s, current, sync := a.service, before.Release, a.syncService
	switch {
	case order.What == "service":
	case order.What == "data" && a.data != nil:
		s, current, sync = a.data, before.Revision, a.syncData
	case order.What == "data":
		return SyncReport{}, errors.New("this app has no data to roll back")
	default:
		return SyncReport{}, fmt.Errorf("%q cannot be rolled back; say service or data", order.What)
	}
	if order.Release {
		if err := s.syncer.Release(); err != nil {
			return SyncReport{}, err
		}
		_, err := sync(ctx, look)
		return a.report(before, began, look), inStream(order.What, err)
	}
	to, err := pickOlder(s.publisher, current, order.To)
	if err != nil {
		return SyncReport{}, err
	}
	unlock, err := a.lockChange(ctx)
	if err != nil {
		return SyncReport{}, err
	}
	defer unlock()
	running := a.serving()
	if running == nil {
		return SyncReport{}, errNotLive
	}
	next := running.pair
	if s == a.service {
		next.Release = to
	} else {
		next.Revision = to
	}
	a.record(Entry{Event: "rollback", Release: string(next.Release), Revision: string(next.Revision)})
	if err := a.activate(ctx, next); err != nil {
		return a.report(before, began, look), err // what does not come up is not held on to either
	}
	a.onProbation(update{})
	err = s.syncer.Hold(to)
	return a.report(before, began, look), err
}

// pickOlder finds what to go back to: the one that begins with wish, or the one before current.
func pickOlder(p *datasync.Publisher, current datasync.Revision, wish string) (datasync.Revision, error) {
	kept, err := p.List()
	if err != nil {
		return "", err
	}
	var found []datasync.Revision
	after := false
	for _, id := range kept {
		switch {
		case wish != "" && strings.HasPrefix(string(id), wish):
			found = append(found, id)
		case wish == "" && after:
			return id, nil
		}
		after = after || id == current
	}
	switch {
	case len(found) == 1:
		return found[0], nil
	case len(found) > 1:
		return "", fmt.Errorf("%q begins more than one of those that are kept; give more of it", wish)
	case wish == "":
		return "", fmt.Errorf("there is nothing older than %s here to go back to", current.Short())
	}
	names := make([]string, len(kept))
	for i, id := range kept {
		names[i] = id.Short()
	}
	return "", fmt.Errorf("%q is not kept here; kept are: %s", wish, strings.Join(names, ", "))
}

func (a *Appliance) servingNow() Serving {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == nil {
		return Serving{}
	}
	return Serving{Release: a.current.Release, Revision: a.current.Revision, Since: a.since}
}
