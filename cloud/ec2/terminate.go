package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/internal/wire"
)

// endPatience is how long a machine may take to end, and what it had to be let go.
const endPatience = 10 * time.Minute

// Terminate implements console.Cloud: it lifts a protection, and returns nil once EC2
// describes the machine as terminated, or describes none though there was time to.
func (c *Cloud) Terminate(ctx context.Context, instance string) error {
	if wire.CheckInstance(instance) != nil {
		return nil // it was never launched
	}
	unlock, err := c.busy.lock(ctx, "instance/"+instance)
	if err != nil {
		return err
	}
	defer unlock()
	ended := map[string]bool{}
	var left []sighting
	err = c.until(ctx, endPatience, func() (bool, error) {
		there, err := c.find(ctx, instance)
		if err != nil {
			return false, err
		}
		left = slices.DeleteFunc(slices.Clone(there), sighting.gone)
		for _, s := range left {
			if s.live() && !ended[s.id()] {
				if err := c.end(ctx, s); err != nil {
					return false, err
				}
				ended[s.id()] = true
			}
		}
		return len(left) == 0 && c.settled(instance, there), nil
	})
	if errors.Is(err, errUnsettled) && len(left) > 0 {
		return fmt.Errorf("the machine %s in %s is still %s; EC2 is asked again", left[0].id(), left[0].region.name, left[0].state())
	}
	if err == nil {
		c.mu.Lock()
		delete(c.recent, instance)
		c.mu.Unlock()
	}
	return err
}

// settled says that what is not described is not there. EC2 may take a while to describe
// what was launched: by this process, or by one before it, of which nothing is known.
func (c *Cloud) settled(instance string, there []sighting) bool {
	a := c.askedFor(instance)
	if a.machine.ID != "" && slices.ContainsFunc(there, func(s sighting) bool { return s.id() == a.machine.ID }) {
		return true
	}
	last := c.opened
	if a.at.After(last) {
		last = a.at
	}
	return time.Since(last) > c.opts.Settle
}

// end asks for a machine's end.
func (c *Cloud) end(ctx context.Context, s sighting) error {
	terminate := func() error {
		_, err := call(ctx, s.region, s.region.ec2.TerminateInstances, &ec2.TerminateInstancesInput{InstanceIds: []string{s.id()}})
		if is(err, "InvalidInstanceID.NotFound") { // whether it is gone is told by what is described
			return nil
		}
		return err
	}
	err := terminate()
	if is(err, "OperationNotPermitted") {
		if err = c.protect(ctx, s, false); err == nil {
			err = terminate()
		}
	}
	return err
}

// Protect implements console.Protector. A spot machine cannot be protected.
func (c *Cloud) Protect(ctx context.Context, instance string) error {
	there, err := c.find(ctx, instance)
	if err != nil {
		return err
	}
	if there = slices.DeleteFunc(there, func(s sighting) bool { return !s.live() }); len(there) == 0 {
		return fmt.Errorf("there is no machine of %s to protect", instance)
	}
	for _, s := range there {
		if s.InstanceLifecycle == types.InstanceLifecycleTypeSpot {
			continue
		}
		if err := c.protect(ctx, s, true); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cloud) protect(ctx context.Context, s sighting, on bool) error {
	_, err := call(ctx, s.region, s.region.ec2.ModifyInstanceAttribute, &ec2.ModifyInstanceAttributeInput{
		InstanceId: aws.String(s.id()), DisableApiTermination: &types.AttributeBooleanValue{Value: aws.Bool(on)}})
	return err
}
