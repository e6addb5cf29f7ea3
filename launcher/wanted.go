package launcher

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"time"

	"popup/apps"
	"popup/datasync"
	"popup/internal/wire"
	"popup/launcher/ending"
)

// take takes in an answer. What it asks for and takes time is done elsewhere.
func (l *link) take(answer wire.Answer) error {
	err := l.accept(answer.Commands)
	if answer.Wanted != nil {
		err = errors.Join(err, l.want(*answer.Wanted))
	}
	return err
}

// want keeps how the instance is to be, also for the next start, and applies what
// is quick.
func (l *link) want(w wire.Wanted) error {
	before := l.kept.get()
	if w.Generation < before.wanted().Generation {
		return nil
	}
	if w.End != nil {
		if _, err := ending.ParseEnd(*w.End); err != nil {
			l.setUnmet(err.Error())
			w.End = before.wanted().End // a date that nobody can read moves nothing
		}
	}
	if before.Wanted == nil || !reflect.DeepEqual(w, *before.Wanted) {
		err := l.kept.update(func(t *consoleFacts) { t.Wanted, t.Ended = &w, t.Ended || w.Ended })
		if err != nil {
			return err
		}
		l.log.Info("wanted", "generation", w.Generation)
		l.app.record(Entry{Event: "wanted", Message: "generation " + strconv.FormatInt(w.Generation, 10)})
		l.mu.Lock()
		l.pinned = time.Time{}
		l.mu.Unlock()
		wake(l.endMoved)
	}
	l.app.refuseWrites(func() { l.app.shut = w.ReadOnly }, 0)
	wake(l.work)
	return nil
}

// endNow orders the end, also for the next start.
func (l *link) endNow() error {
	err := l.kept.update(func(t *consoleFacts) { t.Ended = true })
	wake(l.endMoved)
	return err
}

// endOrdered says whether the console ended this instance.
func (l *link) endOrdered() bool { return l != nil && l.kept.get().Ended }

// movedEnd gets a token when the end is another.
func (l *link) movedEnd() <-chan struct{} {
	if l == nil {
		return nil
	}
	return l.endMoved
}

// plannedEnd is when it is over: as the plan says, or later or sooner as the console
// said last.
func (a *Appliance) plannedEnd() wire.End {
	var end wire.End
	if a.opts.Plan.End != nil {
		end = *a.opts.Plan.End
	}
	if a.console == nil {
		return end
	}
	if w := a.console.kept.get().wanted().End; w != nil {
		end.At, end.Zone = w.At, w.Zone
		for _, d := range []struct{ to, from *apps.Duration }{{&end.Warn, &w.Warn}, {&end.Freeze, &w.Freeze}} {
			if *d.from != 0 {
				*d.to = *d.from
			}
		}
	}
	return end
}

// askEnd asks the console when it is over.
func (a *Appliance) askEnd(ctx context.Context) (wire.End, error) {
	if err := a.console.hear(ctx); err != nil {
		return wire.End{}, err
	}
	return a.plannedEnd(), nil
}

func (l *link) setUnmet(why string) {
	l.mu.Lock()
	changed := l.unmet != why
	l.unmet = why
	l.mu.Unlock()
	if changed {
		wake(l.news)
	}
}

// pinRetry is how long a pin that failed is left alone.
const pinRetry = 5 * time.Minute

// pin holds the release and the revision that are wanted, or lets go of what an
// earlier wish held. What a person on the machine holds is theirs, until the console
// wants another.
func (l *link) pin(ctx context.Context) {
	k := l.kept.get()
	w := k.wanted()
	l.mu.Lock()
	tooSoon := time.Since(l.pinned) < pinRetry
	l.mu.Unlock()
	if k.Wanted == nil || tooSoon || l.app.serving() == nil || l.app.over() {
		return
	}
	var wrong []error
	if ref := w.ServiceRef; ref != "" && ref != l.app.opts.Plan.Service.Ref {
		wrong = append(wrong, fmt.Errorf("another branch or tag, %s, is only followed by a new instance; pin a commit of it, or launch anew", strconv.Quote(clip(ref, 80))))
	}
	err := l.app.hold(ctx, "service", w.ServiceCommit, k.Release)
	wrong = append(wrong, err)
	if err == nil && w.ServiceCommit != k.Release {
		wrong = append(wrong, l.kept.update(func(t *consoleFacts) { t.Release = w.ServiceCommit }))
	}
	err = l.app.hold(ctx, "data", w.DataRevision, k.Revision)
	wrong = append(wrong, err)
	if err == nil && w.DataRevision != k.Revision {
		wrong = append(wrong, l.kept.update(func(t *consoleFacts) { t.Revision = w.DataRevision }))
	}
	if ctx.Err() != nil {
		return
	}
	why := ""
	if err := errors.Join(wrong...); err != nil {
		why = err.Error()
		l.log.Warn("wanted", "generation", w.Generation, "err", err)
		l.mu.Lock()
		l.pinned = time.Now()
		l.mu.Unlock()
	}
	l.setUnmet(why)
}

// hold serves the id that is wished of a stream and holds it there; without a wish
// it lets go of what was held for one.
func (a *Appliance) hold(ctx context.Context, what, wish, before string) error {
	s := a.service
	if what == "data" {
		s = a.data
	}
	if s == nil {
		if wish != "" {
			return errors.New("this app has no data to pin")
		}
		return nil
	}
	held, current := string(s.syncer.Status().Held), a.servingNow().Release
	if s == a.data {
		current = a.servingNow().Revision
	}
	switch {
	case wish == "" && before != "" && held == before:
		_, err := a.Rollback(ctx, RollbackOrder{What: what, Release: true})
		if string(s.syncer.Status().Held) != before {
			return nil // what is newest is the next sync's
		}
		return err
	case wish == "" || held == wish && string(current) == wish:
		return nil
	case string(current) == wish:
		return s.syncer.Hold(current)
	}
	if !s.publisher.Has(datasync.Revision(wish)) {
		if err := a.fetchPinned(ctx, s, wish); err != nil {
			return fmt.Errorf("pin %s: %w", what, err)
		}
	}
	if _, err := a.Rollback(ctx, RollbackOrder{What: what, To: wish}); err != nil {
		return fmt.Errorf("pin %s: %w", what, err)
	}
	return nil
}

var fullCommit = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// fetchPinned brings a commit that is not here, by the same gates as any other.
func (a *Appliance) fetchPinned(ctx context.Context, s *stream, wish string) error {
	plan := a.opts.Plan.Service
	if s == a.data {
		plan = *a.opts.Plan.Data
	}
	if plan.Kind != "" && plan.Kind != apps.SourceGit || !fullCommit.MatchString(wish) {
		return fmt.Errorf("%s is not kept here, and only a full commit of a git repository can be fetched", strconv.Quote(clip(wish, 80)))
	}
	s.fetching.Lock()
	defer s.fetching.Unlock()
	plan.Ref = wish
	source, err := datasync.NewSource(plan, s.sourceOptions)
	if err != nil {
		return err
	}
	// A stream that holds one looks no further.
	held := s.syncer.Status().Held
	if held != "" {
		if err := s.syncer.Release(); err != nil {
			return err
		}
	}
	config := s.config
	config.Source = source
	if _, _, err = datasync.NewSyncer(config).Stage(ctx); err != nil && held != "" {
		err = errors.Join(err, s.syncer.Hold(held))
	}
	return err
}
