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
)

const (
	// stateDevice is what a volume is attached as. A machine may call it otherwise, and
	// knows it by the volume's id.
	stateDevice    = "/dev/sdf"
	attachPatience = 3 * time.Minute
)

// Attach implements console.VolumeKeeper. A machine that had the volume is described as
// stopped, or gone, before it is taken away from it; else that is the error.
func (c *Cloud) Attach(ctx context.Context, volume, instance string) error {
	unlock, err := c.busy.lock(ctx, "attach/"+volume)
	if err != nil {
		return err
	}
	defer unlock()
	var waits error
	err = c.until(ctx, attachPatience, func() (done bool, err error) {
		done, waits, err = c.attachStep(ctx, volume, instance)
		return done, err
	})
	if errors.Is(err, errUnsettled) {
		return waits
	}
	return err
}

// attachStep does what is next. waits is what it waits for.
func (c *Cloud) attachStep(ctx context.Context, volume, instance string) (done bool, waits, err error) {
	described, err := c.findVolume(ctx, volume)
	if err != nil {
		return false, nil, err
	}
	if tagged(described.Tags, tagConsole) != c.opts.Console {
		return false, nil, fmt.Errorf("the volume %s is not of this console, which leaves it alone", volume)
	}
	s, err := c.owner(ctx, instance)
	if err != nil {
		return false, nil, err
	}
	if s.state() == types.InstanceStateNamePending {
		return false, fmt.Errorf("the machine %s of %s does not run yet", s.id(), instance), nil
	}
	if s.state() != types.InstanceStateNameRunning {
		return false, nil, fmt.Errorf("the machine %s of %s is %s, and a volume is given to one that runs", s.id(), instance, s.state())
	}
	switch described.State {
	case types.VolumeStateCreating:
		return false, fmt.Errorf("the volume %s is not made yet", volume), nil
	case types.VolumeStateInUse:
		return c.letGo(ctx, s, described)
	case types.VolumeStateAvailable:
		_, err = call(ctx, s.region, s.region.ec2.AttachVolume, &ec2.AttachVolumeInput{VolumeId: aws.String(volume), InstanceId: aws.String(s.id()), Device: aws.String(stateDevice)})
		switch {
		case is(err, "InvalidVolume.ZoneMismatch"):
			return false, nil, fmt.Errorf("the volume %s is in %s, and the machine %s is not: %w", volume, aws.ToString(described.AvailabilityZone), s.id(), err)
		case is(err, "VolumeInUse", "IncorrectState", "InvalidInstanceID.NotFound", "InvalidVolume.NotFound"):
			return false, err, nil
		case err != nil:
			return false, nil, err
		}
		return false, fmt.Errorf("the volume %s is not attached to %s yet", volume, s.id()), nil
	}
	return false, nil, fmt.Errorf("the volume %s is %s, and cannot be attached", volume, described.State)
}

// owner is the machine of an instance that is not ended, the first one launched.
func (c *Cloud) owner(ctx context.Context, instance string) (sighting, error) {
	there, err := c.find(ctx, instance)
	if there = slices.DeleteFunc(there, func(s sighting) bool { return !s.live() }); err == nil && len(there) == 0 {
		err = fmt.Errorf("there is no machine of %s (any more)", instance)
	}
	if err != nil {
		return sighting{}, err
	}
	return slices.MinFunc(there, older), nil
}

// letGo takes a volume away from another machine, where that is proven turned off.
func (c *Cloud) letGo(ctx context.Context, s sighting, v types.Volume) (done bool, waits, err error) {
	volume := aws.ToString(v.VolumeId)
	if len(v.Attachments) == 0 {
		return false, fmt.Errorf("the volume %s is in use, and EC2 does not say by what", volume), nil
	}
	has := v.Attachments[0]
	other := aws.ToString(has.InstanceId)
	switch {
	case other == s.id() && has.State == types.VolumeAttachmentStateAttached:
		return true, nil, nil
	case other == s.id() || has.State == types.VolumeAttachmentStateDetaching:
		return false, fmt.Errorf("the volume %s is %s, of %s", volume, has.State, other), nil
	}
	found, err := c.describe(ctx, s.region, filter("instance-id", other))
	if err != nil {
		return false, nil, err
	}
	switch {
	case len(found) == 0 || found[0].gone(): // EC2 lets it go by itself
	case found[0].state() != types.InstanceStateNameStopped:
		return false, nil, fmt.Errorf("the volume %s is still the machine %s's, which is %s; it is taken away once that is turned off or gone", volume, other, found[0].state())
	default:
		_, err = call(ctx, s.region, s.region.ec2.DetachVolume, &ec2.DetachVolumeInput{VolumeId: aws.String(volume), InstanceId: aws.String(other)})
		if err != nil && !is(err, "IncorrectState") {
			return false, nil, err
		}
	}
	return false, fmt.Errorf("the volume %s is being let go by %s", volume, other), nil
}
