package console

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"
)

const (
	launchTimeout    = 5 * time.Minute // of one Cloud.Launch
	terminateTimeout = 5 * time.Minute // of one Cloud.Terminate
	firstPause       = 2 * time.Second
	longestPause     = 5 * time.Minute
	// mostTries is how often a cloud is asked for a machine until it is taken to refuse
	// it for good: for about two hours.
	mostTries = 30
	// mostRefusals is the same of a cloud that says why it gives none, nor would another
	// place: somebody has to do something about that.
	mostRefusals = 5
)

// pauseAfter is how long to wait after so many tries that failed.
func pauseAfter(tries int) time.Duration {
	return min(firstPause<<min(tries-1, 10), longestPause)
}

// A subject is an instance with what it belongs to.
type subject struct {
	Instance
	deployment Deployment
	event      Event
}

func (c *Console) subject(tx Tx, id string) (s subject, err error) {
	if s.Instance, err = get[Instance](tx, id); err != nil {
		return s, err
	}
	if s.deployment, err = get[Deployment](tx, s.Deployment); err != nil {
		return s, err
	}
	s.event, err = get[Event](tx, s.Instance.Event)
	return s, err
}

// turnInstance has fn change an instance as it is by now. Where its state is another one
// then, its event is looked at as well.
func (c *Console) turnInstance(ctx context.Context, id string, fn func(*subject)) (s subject, err error) {
	err = c.store.Update(ctx, func(tx Tx) error {
		if s, err = c.subject(tx, id); err != nil {
			return err
		}
		was, why := s.State, s.Failure
		fn(&s)
		s.want(s.event)
		if err := put(tx, s.Instance); err != nil {
			return err
		}
		if s.State != was || s.State == InstanceEnding && s.Failure != why {
			return c.look(tx, s.Instance.Event)
		}
		return nil
	})
	if err != nil {
		return s, fmt.Errorf("write instance %s: %w", id, err)
	}
	return s, nil
}

// stepInstance does what is due of an instance.
func (r *reconciler) stepInstance(ctx context.Context, id string) error {
	s, err := r.c.turnInstance(ctx, id, func(s *subject) {
		switch {
		case s.State == InstancePlanned && s.event.State.Over():
			s.end(r.c.now())
		case s.State == InstancePlanned && (s.event.State == EventOpen || s.event.State == EventFrozen):
			s.State, s.Proof = InstanceLaunching, r.c.proof(s.Cloud) // before it is asked for, so that it is never forgotten
		case s.State != InstanceLaunching && s.State != InstanceEnding && !(s.State == InstanceLive && r.c.protects(s.Instance)) && !s.unattached():
			s.Due = time.Time{}
		}
	})
	if err != nil {
		return err
	}
	switch s.State {
	case InstanceLaunching:
		return r.launch(ctx, s)
	case InstanceEnding:
		return r.end(ctx, s)
	case InstanceStarting:
		if s.unattached() {
			return r.attach(ctx, s)
		}
	case InstanceLive:
		if r.c.protects(s.Instance) {
			return r.protect(ctx, s)
		}
	}
	return nil
}

// launch asks the cloud for an instance's machine. Asked again after a kill, the cloud
// returns the same one.
func (r *reconciler) launch(ctx context.Context, s subject) error {
	m, err := r.askFor(ctx, s)
	if ctx.Err() != nil {
		return nil // told to stop; the next start asks again
	}
	_, write := r.c.turnInstance(ctx, s.ID, func(s *subject) {
		now := r.c.now()
		switch {
		case err == nil:
			if s.has(m, now); s.unattached() {
				s.Due = now
			}
		case s.State != InstanceLaunching:
		default:
			s.refused(err, s.deployment.Image != nil, now)
		}
	})
	if err == nil && write == nil {
		r.c.log.Info("launched", "instance", s.ID, "machine", m.ID)
	}
	return write
}

func (r *reconciler) askFor(ctx context.Context, s subject) (Machine, error) {
	cloud, err := r.cloud(ctx, s.Cloud)
	if err == nil {
		err = r.makeVolume(ctx, &s)
	}
	if err != nil {
		return Machine{}, err
	}
	text, err := r.c.userData(s.event, s.deployment, s.Instance, r.c.token(s.Instance))
	if err != nil {
		return Machine{}, err
	}
	ask := r.c.launchOf(s.event, s.deployment, s.Instance)
	ask.UserData = text
	ctx, cancel := context.WithTimeout(ctx, launchTimeout)
	defer cancel()
	return cloud.Launch(ctx, ask)
}

// refused notes that a cloud was asked for an instance's machine, from an image of an app
// or not, and what it said.
func (i *Instance) refused(err error, image bool, now time.Time) {
	i.Tries++
	i.Failure, i.Due = plain(err), now.Add(pauseAfter(i.Tries))
	refusal := new(RefusedError)
	switch {
	case errors.As(err, &refusal) && !refusal.Elsewhere && image && !i.Plain: // the image may be why: it is asked for once more, without
		i.Plain, i.Due = true, now
		i.Attempt++
	case !errors.As(err, &refusal): // something may have come of it: the same is asked again
	case refusal.Elsewhere:
		i.Attempt++
	default:
		i.Refusals++
	}
	if i.Tries >= mostTries || i.Refusals >= mostRefusals {
		// Some machine may be there all the same.
		i.State, i.Ended, i.Due = InstanceEnding, now, now
	}
}

// cloud is the one that an instance was launched in. It is asked for right before each call:
// whoever leads no more calls none.
func (r *reconciler) cloud(ctx context.Context, name string) (Cloud, error) {
	if err := r.c.leads(ctx); err != nil {
		return nil, err
	}
	if cloud := r.c.opts.Clouds[name]; cloud != nil {
		return cloud, nil
	}
	return nil, fmt.Errorf("this console has no cloud %q any more; start it with that again", name)
}

// has notes the machine of an instance.
func (i *Instance) has(m Machine, now time.Time) {
	if i.Machine != m.ID || i.Launched.IsZero() {
		i.Machine, i.Launched = m.ID, now
		if m.Launched.After(i.Created) && m.Launched.Before(now) {
			i.Launched = m.Launched // the answer was lost, and it is paid for since
		}
	}
	if m.Address != "" {
		i.Address = m.Address
	}
	switch {
	case m.State != MachineStopped:
		i.Stopped = time.Time{}
	case i.Stopped.IsZero():
		i.Stopped = now
		if i.State == InstanceEnding {
			i.Due = now
		}
	}
	switch i.State {
	case InstancePlanned, InstanceLaunching:
		i.State, i.Tries, i.Refusals, i.Failure, i.Due = InstanceStarting, 0, 0, "", time.Time{}
	case InstanceLost:
		i.State, i.Failure, i.Gone = InstanceStarting, "", time.Time{}
		if !i.LiveSince.IsZero() {
			i.State = InstanceLive
		}
	}
}

// end takes the machine of an instance away, once nothing is lost by it.
func (r *reconciler) end(ctx context.Context, s subject) error {
	v := s.verdict(s.deployment, judged{r.started, r.c.now()})
	if !v.Take {
		_, err := r.c.turnInstance(ctx, s.ID, func(s *subject) {
			if v = s.verdict(s.deployment, judged{r.started, r.c.now()}); !v.Take { // an archive may have come meanwhile
				s.Failure, s.Due = v.Why, r.c.now().Add(v.Again)
			}
		})
		return err
	}
	err := r.confirmOver(ctx, s)
	if err == nil {
		err = r.keepDisks(ctx, s)
	}
	if err == nil {
		err = r.takeAway(ctx, s.Cloud, s.ID)
	}
	if ctx.Err() != nil {
		return nil
	}
	_, write := r.c.turnInstance(ctx, s.ID, func(s *subject) {
		now := r.c.now()
		switch {
		case s.State != InstanceEnding:
		case err != nil:
			s.Tries++
			s.Failure, s.Due = "its machine could not be taken away: "+plain(err), now.Add(pauseAfter(s.Tries))
		default:
			s.State, s.Gone, s.Due = InstanceGone, now, time.Time{}
			if s.Launched.IsZero() && s.event.EndedAt.IsZero() {
				s.State = InstanceFailed // its Failure says why
			} else {
				s.Failure = ""
			}
		}
	})
	if err == nil && write == nil {
		r.c.log.Info("gone", "instance", s.ID)
	}
	return write
}

func (r *reconciler) takeAway(ctx context.Context, cloud, instance string) error {
	from, err := r.cloud(ctx, cloud)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, terminateTimeout)
	defer cancel()
	return from.Terminate(ctx, instance)
}

// plain is an error as a person reads it: one line, of bounded length.
func plain(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "the cloud did not answer in time"
	}
	const most = 500
	return cut(strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }), " "), most)
}
