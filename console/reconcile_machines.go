package console

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"
)

const (
	pollEvery    = 30 * time.Second
	pollPending  = 15 * time.Second // while something is being launched or ended
	pollTimeout  = time.Minute
	missingFor   = 20 * time.Second // after which a machine that is not listed again is taken to be gone
	youngFor     = time.Minute      // in which a cloud may not list yet what it launched
	strangeFor   = 2 * time.Minute  // after which one that nobody knows is ended
	mostReplaced = 3                // of a deployment, within replacedIn
	replacedIn   = time.Hour
)

// pollClouds asks each cloud that is to be asked again, and returns how long until the next.
func (r *reconciler) pollClouds(ctx context.Context) time.Duration {
	next := pollEvery
	for name := range r.c.opts.Clouds {
		what := pollOfCloud + "/" + name
		r.mu.Lock()
		busy, every := r.busy[what], pollEvery
		if len(r.busy) > 0 || len(r.missing) > 0 || len(r.strange) > 0 {
			every = pollPending
		}
		left := every - r.c.now().Sub(r.polled[name])
		r.mu.Unlock()
		if busy {
			continue
		}
		if left <= 0 && r.start(ctx, r.polls, what, func(ctx context.Context) error { return r.poll(ctx, name) }) {
			left = every
		}
		next = min(next, left)
	}
	return next
}

// poll holds what a cloud has against what is known here.
func (r *reconciler) poll(ctx context.Context, cloud string) error {
	asked := r.c.now()
	r.mu.Lock()
	r.polled[cloud] = asked
	r.mu.Unlock()
	machines, err := r.machines(ctx, cloud)
	if err != nil {
		return fmt.Errorf("list the machines of %s: %w", cloud, err)
	}
	known, err := r.known(ctx)
	if err != nil {
		return err
	}
	var wrong []error
	for _, m := range machines {
		if i, ok := known[m.Instance]; !ok || !i.shows(m, r.c.now()) {
			wrong = append(wrong, r.match(ctx, cloud, m))
		}
		r.mu.Lock()
		delete(r.missing, m.Instance)
		r.mu.Unlock()
		delete(known, m.Instance)
	}
	return errors.Join(append(wrong, r.gone(ctx, cloud, known, asked))...)
}

func (r *reconciler) machines(ctx context.Context, cloud string) ([]Machine, error) {
	asked, err := r.cloud(ctx, cloud)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return asked.Machines(ctx)
}

// A place is what of an instance is held against a cloud's list: a fleet of them is read
// each time.
type place struct {
	ID       string        `json:"id"`
	Cloud    string        `json:"cloud"`
	State    InstanceState `json:"state"`
	Machine  string        `json:"machine"`
	Address  string        `json:"address"`
	Launched time.Time     `json:"launched"`
	Stopped  time.Time     `json:"stopped"`
}

func (p place) record() Record { return Record{Kind: KindInstance} }

// shows says that all of a machine is known.
func (p place) shows(m Machine, now time.Time) bool {
	i := Instance{State: p.State, Machine: p.Machine, Address: p.Address, Launched: p.Launched, Stopped: p.Stopped}
	i.has(m, now)
	return i.State == p.State && i.Machine == p.Machine && i.Address == p.Address && i.Launched.Equal(p.Launched) && i.Stopped.Equal(p.Stopped)
}

// known are the instances that have a machine, or may have one.
func (r *reconciler) known(ctx context.Context) (known map[string]place, err error) {
	err = r.c.store.View(ctx, func(tx Tx) error {
		known = map[string]place{}
		for _, state := range []InstanceState{InstanceLaunching, InstanceStarting, InstanceLive, InstanceEnding} {
			if err := each(tx, Query{State: string(state), Limit: 200}, func(p place) { known[p.ID] = p }); err != nil {
				return err
			}
		}
		return nil
	})
	return known, err
}

// match holds a machine against its instance.
func (r *reconciler) match(ctx context.Context, cloud string, m Machine) error {
	var s subject
	err := r.c.store.View(ctx, func(tx Tx) (err error) { s, err = r.c.subject(tx, m.Instance); return err })
	if errors.Is(err, ErrNotFound) {
		return r.stranger(ctx, cloud, m)
	}
	if err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.strange, s.ID)
	r.mu.Unlock()
	if s.unwanted() {
		return r.takeAway(ctx, cloud, s.ID) // it came to be after it was ended
	}
	_, err = r.c.turnInstance(ctx, s.ID, func(s *subject) {
		if s.unwanted() {
			return
		}
		if s.has(m, r.c.now()); s.unattached() {
			s.Due = r.c.now()
		}
		switch {
		case s.State == InstanceEnding || (s.Stopped.IsZero() || s.deployment.Plan.Bake) && !s.event.State.Over():
		case s.event.State.Over(), !s.deployment.HasState():
			s.end(r.c.now())
		default:
			s.Failure = sentences("its machine is off", m.Detail)
		}
	})
	return err
}

// unwanted says that no machine is wanted of an instance. One that is lost is wanted
// back where it holds what visitors wrote and nobody gave up; any other has been made
// good for.
func (s subject) unwanted() bool {
	return s.State == InstanceGone || s.State == InstanceFailed || s.State == InstanceLost && (!s.deployment.HasState() || s.Discarded != "" || s.ReplacedBy != "")
}

// stranger is a machine that was launched for this console and whose instance nobody
// knows. A kill leaves none behind, since an instance is written down before it is
// launched. Where the store is an older backup, though, what was launched after that is
// somebody's event: only what came up since this console was started is ended.
func (r *reconciler) stranger(ctx context.Context, cloud string, m Machine) error {
	now := r.c.now()
	r.mu.Lock()
	since, known := r.strange[m.Instance]
	if !known {
		since = now
		r.strange[m.Instance] = now
	}
	r.mu.Unlock()
	if !known {
		r.c.log.Warn("a machine that no instance here is known of", "instance", m.Instance, "cloud", cloud, "machine", m.ID, "since", m.Launched)
	}
	if now.Sub(since) < strangeFor || !m.Launched.After(r.started) {
		return nil
	}
	if err := r.takeAway(ctx, cloud, m.Instance); err != nil {
		return err
	}
	r.mu.Lock()
	delete(r.strange, m.Instance)
	r.mu.Unlock()
	return nil
}

// gone finds the instances whose machine a cloud does not list any more, of those that
// it did not list.
func (r *reconciler) gone(ctx context.Context, cloud string, unlisted map[string]place, asked time.Time) error {
	r.mu.Lock()
	maps.DeleteFunc(r.missing, func(id string, _ time.Time) bool { _, may := unlisted[id]; return !may }) // it is over by now
	r.mu.Unlock()
	var wrong []error
	for id, p := range unlisted {
		if p.Cloud != cloud || p.State == InstanceLaunching || p.Launched.IsZero() || asked.Sub(p.Launched) < youngFor {
			continue
		}
		r.mu.Lock()
		since, known := r.missing[id]
		if !known {
			r.missing[id] = asked
		}
		r.mu.Unlock()
		// One list that leaves it out may be an old one.
		if known && asked.Sub(since) >= missingFor {
			wrong = append(wrong, r.lose(ctx, id))
		}
	}
	return errors.Join(wrong...)
}

// lose notes that an instance's machine went away, and launches another where that
// makes it good.
func (r *reconciler) lose(ctx context.Context, id string) error {
	r.mu.Lock()
	delete(r.missing, id)
	r.mu.Unlock()
	err := r.c.store.Update(ctx, func(tx Tx) error {
		s, err := r.c.subject(tx, id)
		if err != nil || s.State.Over() {
			return err
		}
		now := r.c.now()
		was := s.State
		s.State, s.Gone, s.Due = InstanceLost, now, time.Time{}
		switch {
		case was == InstanceEnding && (s.Archive != nil || s.Discarded != "" || s.ReplacedBy != "" || !s.deployment.HasState() || !s.mayHaveWritten(s.deployment)):
			s.State, s.Failure = InstanceGone, "" // nothing was lost with it
		case was == InstanceEnding:
			s.Failure = "its machine went away before its final backup came."
		default:
			s.Failure, err = r.replace(tx, &s)
		}
		s.want(s.event)
		return errors.Join(err, put(tx, s.Instance), r.c.look(tx, s.Instance.Event))
	})
	if err == nil {
		r.c.log.Warn("lost", "instance", id)
	}
	return err
}

// replace launches another instance for one that is lost, where its app keeps nothing
// that would be missing, or keeps it on a volume, and says what was done.
func (r *reconciler) replace(tx Tx, s *subject) (says string, err error) {
	const lost = "its machine went away without having been told to."
	if s.deployment.HasState() && !s.deployment.onVolume() {
		return lost + " What visitors wrote since its last backup went with it, so that no other is launched by itself; launch the app again.", nil
	}
	if s.event.State != EventOpen && s.event.State != EventFrozen || s.deployment.Plan.Bake {
		return lost, nil
	}
	all, err := instancesIn(tx, s.deployment)
	if err != nil {
		return "", err
	}
	recent, now := 0, r.c.now()
	for _, i := range all {
		if i.Replaces != "" && now.Sub(i.Created) < replacedIn {
			recent++
		}
	}
	if recent >= mostReplaced {
		return lost + fmt.Sprintf(" %d were launched in the place of others within the hour, and they do not last; look at why, and launch the app again.", recent), nil
	}
	i, err := r.c.inPlaceOf(tx, &s.Instance, s.event, s.deployment)
	return lost + " " + i.ID + " was launched in its place.", err
}
