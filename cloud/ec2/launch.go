package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
	"popup/internal/wire"
)

// Launch implements console.Cloud. Each machine is a call of RunInstances of its own, since
// each has a one-time token of its own in its user-data. The call carries a client token
// that is made of the instance and the attempt: asked again, after whatever was cut off,
// EC2 answers with the same machine.
func (c *Cloud) Launch(ctx context.Context, l console.Launch) (console.Machine, error) {
	if err := checkLaunch(l); err != nil {
		return console.Machine{}, err
	}
	unlock, err := c.busy.lock(ctx, "instance/"+l.Instance)
	if err != nil {
		return console.Machine{}, err
	}
	defer unlock()
	if m, err := c.launched(ctx, l); err != nil || m.ID != "" {
		return m, err
	}
	p, err := c.placeFor(ctx, l)
	if err != nil {
		return console.Machine{}, c.refusal(err)
	}
	m, err := c.run(ctx, p, l)
	if err != nil {
		return console.Machine{}, c.refusal(err)
	}
	c.opts.Log.Info("machine launched", "instance", l.Instance, "machine", m.ID, "place", p.zone)
	return m, nil
}

func checkLaunch(l console.Launch) error {
	switch {
	case l.EventID == "":
		return errNoEvent
	case l.Attempt < 0 || l.Attempt >= mostTries:
		return refused("%s was refused %d times; look at why, and launch the app again", l.Instance, l.Attempt)
	}
	return wire.CheckInstance(l.Instance)
}

// launched is the machine that was launched for l before; one without an id: none was.
func (c *Cloud) launched(ctx context.Context, l console.Launch) (console.Machine, error) {
	there, err := c.find(ctx, l.Instance)
	if err != nil {
		return console.Machine{}, err
	}
	if known := c.askedFor(l.Instance).machine; known.ID != "" && !slices.ContainsFunc(there, func(s sighting) bool { return s.id() == known.ID }) {
		return known, nil // it is not described yet
	}
	slices.SortFunc(there, older)
	for _, s := range there {
		if s.live() {
			return c.completed(ctx, s, l)
		}
	}
	for _, s := range there {
		if aws.ToString(s.ClientToken) != c.token(l.Instance, l.Attempt) {
			continue
		}
		if s.state() != types.InstanceStateNameTerminated {
			return console.Machine{}, fmt.Errorf("the machine %s, which was launched before, is ending", s.id())
		}
		why := s.detail()
		if why == "" {
			why = "EC2 does not say why"
		}
		return console.Machine{}, &console.RefusedError{Reason: fmt.Sprintf("the machine %s was launched, and ended right away: %s", s.id(), why), Elsewhere: true}
	}
	return console.Machine{}, nil
}

// completed gives a machine the tags that it has not got: what made it was cut off.
func (c *Cloud) completed(ctx context.Context, s sighting, l console.Launch) (console.Machine, error) {
	if tagged(s.Tags, tagInstance) == "" {
		if err := c.tag(ctx, s.region, s.id(), c.tagsOf(l)); err != nil {
			return console.Machine{}, err
		}
	}
	m := s.machine()
	m.Instance = l.Instance
	return m, nil
}

// run asks for a machine.
func (c *Cloud) run(ctx context.Context, p place, l console.Launch) (console.Machine, error) {
	in, err := c.request(ctx, p, l)
	if err != nil {
		return console.Machine{}, err
	}
	group, err := c.group(ctx, p, l)
	if err != nil {
		return console.Machine{}, err
	}
	in.SecurityGroupIds = []string{group}
	c.asks(l.Instance, console.Machine{})
	var s sighting
	err = c.known(ctx, func() error { // the group may not be known everywhere yet
		out, err := call(ctx, p.region, p.region.ec2.RunInstances, in)
		if err == nil && len(out.Instances) == 0 {
			return fmt.Errorf("EC2 in %s answered RunInstances with no machine", p.region.name)
		}
		if err == nil {
			s = sighting{out.Instances[0], p.region, aws.ToString(out.OwnerId)}
		}
		return err
	})
	switch {
	case is(err, "IdempotentParameterMismatch"):
		return c.other(ctx, l, err)
	case err != nil:
		return console.Machine{}, c.notRun(p.region, l, err)
	case !s.live():
		return console.Machine{}, c.notRun(p.region, l, refusedElsewhere("the machine %s was launched, and has ended already", s.id()))
	}
	m, err := c.completed(ctx, s, l)
	if p.region.compat && err != nil {
		return m, fmt.Errorf("mark the machine %s: %w", s.id(), err)
	}
	c.asks(l.Instance, m)
	return m, err
}

// notRun notes that no machine was made, where that is certain.
func (c *Cloud) notRun(r *region, l console.Launch, err error) error {
	r.forget() // what it was refused for may be what we believed of images and subnets
	err = c.refusal(err)
	if _, ok := errors.AsType[*console.RefusedError](err); ok {
		c.mu.Lock()
		delete(c.recent, l.Instance)
		c.mu.Unlock()
	}
	return err
}

func refusedElsewhere(format string, args ...any) error {
	return &console.RefusedError{Reason: fmt.Sprintf(format, args...), Elsewhere: true}
}

// other is the machine that was asked for with this token in other words: by another
// version of the console, or when the newest image was another one.
func (c *Cloud) other(ctx context.Context, l console.Launch, mismatch error) (m console.Machine, err error) {
	err = c.until(ctx, c.opts.Settle, func() (bool, error) {
		var err error
		m, err = c.launched(ctx, l)
		return m.ID != "", err
	})
	if errors.Is(err, errUnsettled) {
		return m, mismatch
	}
	return m, err
}

// asks notes that a machine was asked for, and what was answered.
func (c *Cloud) asks(instance string, m console.Machine) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.recent[instance] = asked{at: time.Now(), machine: m}
}

// askedFor is what was asked for recently.
func (c *Cloud) askedFor(instance string) asked {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.recent[instance].at) > recently {
		delete(c.recent, instance)
	}
	return c.recent[instance]
}
