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
	"popup/console"
)

// removePatience is how long a thing may take to be let go by what used it, and to go.
const removePatience = 5 * time.Minute

// Held implements console.Holder. The Place of a thing is its region.
func (c *Cloud) Held(ctx context.Context, eventID string) ([]console.Thing, error) {
	return everywhere(ctx, c, func(r *region) (all []console.Thing, err error) {
		for _, list := range []func(context.Context, *region, string) ([]console.Thing, error){
			c.heldMachines, c.heldVolumes, c.heldSnapshots, c.heldAddresses, c.heldGroups,
		} {
			things, err := list(ctx, r, eventID)
			if err != nil {
				return nil, err
			}
			all = append(all, things...)
		}
		return all, nil
	})
}

// ofEvent asks for what was made for an event.
func (c *Cloud) ofEvent(id string) []types.Filter {
	return []types.Filter{filter("tag:"+tagConsole, c.opts.Console), filter("tag:"+tagEvent, id)}
}

func thing(kind console.ThingKind, r *region, id *string, tags []types.Tag, detail string) console.Thing {
	return console.Thing{Kind: kind, ID: aws.ToString(id), Place: r.name, Deployment: tagged(tags, tagDeployment), Instance: tagged(tags, tagInstance), Detail: detail}
}

func (c *Cloud) heldMachines(ctx context.Context, r *region, event string) (things []console.Thing, err error) {
	all, err := c.describe(ctx, r, c.ofEvent(event)...)
	for _, s := range all {
		if !s.gone() {
			things = append(things, thing(console.ThingMachine, r, s.InstanceId, s.Tags, s.detail()))
		}
	}
	return things, err
}

func (c *Cloud) heldVolumes(ctx context.Context, r *region, event string) ([]console.Thing, error) {
	return pages(func(next *string) (things []console.Thing, more *string, err error) {
		out, err := call(ctx, r, r.ec2.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: c.ofEvent(event), NextToken: next})
		if err != nil {
			return nil, nil, err
		}
		for _, v := range out.Volumes {
			detail := fmt.Sprintf("%d GiB in %s", aws.ToInt32(v.Size), aws.ToString(v.AvailabilityZone))
			for _, a := range v.Attachments {
				detail += ", attached to " + aws.ToString(a.InstanceId)
				if aws.ToBool(a.DeleteOnTermination) {
					detail += ", and goes with it"
				}
			}
			things = append(things, thing(console.ThingVolume, r, v.VolumeId, v.Tags, detail))
		}
		return things, out.NextToken, nil
	})
}

func (c *Cloud) heldSnapshots(ctx context.Context, r *region, event string) ([]console.Thing, error) {
	return pages(func(next *string) (things []console.Thing, more *string, err error) {
		out, err := call(ctx, r, r.ec2.DescribeSnapshots, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: c.ofEvent(event), NextToken: next})
		if err != nil {
			return nil, nil, err
		}
		for _, s := range out.Snapshots {
			things = append(things, thing(console.ThingSnapshot, r, s.SnapshotId, s.Tags, fmt.Sprintf("%d GiB of %s", aws.ToInt32(s.VolumeSize), aws.ToString(s.VolumeId))))
		}
		return things, out.NextToken, nil
	})
}

func (c *Cloud) heldAddresses(ctx context.Context, r *region, event string) (things []console.Thing, err error) {
	out, err := call(ctx, r, r.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{Filters: c.ofEvent(event)})
	if err != nil {
		return nil, err
	}
	for _, a := range out.Addresses {
		things = append(things, thing(console.ThingAddress, r, a.AllocationId, a.Tags, aws.ToString(a.PublicIp)))
	}
	return things, nil
}

// heldGroups finds a group that was cut off before it had tags by its name.
func (c *Cloud) heldGroups(ctx context.Context, r *region, event string) ([]console.Thing, error) {
	var things []console.Thing
	asks := [][]types.Filter{c.ofEvent(event)}
	if r.compat {
		asks = append(asks, []types.Filter{filter("group-name", c.groupName(event))})
	}
	for _, filters := range asks {
		out, err := call(ctx, r, r.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: filters})
		if err != nil {
			return nil, err
		}
		for _, g := range out.SecurityGroups {
			if !slices.ContainsFunc(things, func(t console.Thing) bool { return t.ID == aws.ToString(g.GroupId) }) {
				things = append(things, thing(console.ThingGroup, r, g.GroupId, g.Tags, ""))
			}
		}
	}
	return things, nil
}

// Remove implements console.Holder. What is still used by something that is going is
// asked for again until that is gone.
func (c *Cloud) Remove(ctx context.Context, t console.Thing) error {
	r, err := c.region(ctx, t.Place)
	if err != nil {
		return err
	}
	remove, left := c.removal(ctx, r, t)
	if remove == nil {
		return fmt.Errorf("a %s is not removed in this way", t.Kind)
	}
	var last error
	err = c.until(ctx, removePatience, func() (bool, error) {
		last = remove()
		switch {
		case is(last, "DependencyViolation", "VolumeInUse", "InvalidGroup.InUse", "InvalidIPAddress.InUse", "IncorrectState"):
			return false, nil
		case last != nil && !missing(last):
			return false, last
		}
		there, err := left()
		if there {
			last = errors.New("EC2 took the request, and still describes it")
		}
		return !there, err
	})
	if errors.Is(err, errUnsettled) {
		return fmt.Errorf("the %s %s in %s is not gone: %w; look in EC2's own console at what uses it", t.Kind, t.ID, t.Place, last)
	}
	return err
}

// missing says that there is no such thing (any more).
func missing(err error) bool {
	return is(err, "InvalidVolume.NotFound", "InvalidSnapshot.NotFound", "InvalidAllocationID.NotFound", "InvalidGroup.NotFound", "InvalidGroupId.NotFound")
}

// removal is how a thing is removed, and how it is seen whether it is still there; nil:
// there is no such kind.
func (c *Cloud) removal(ctx context.Context, r *region, t console.Thing) (remove func() error, left func() (bool, error)) {
	id := aws.String(t.ID)
	switch t.Kind {
	case console.ThingVolume:
		return func() error {
				_, err := call(ctx, r, r.ec2.DeleteVolume, &ec2.DeleteVolumeInput{VolumeId: id})
				return err
			}, func() (bool, error) {
				out, err := call(ctx, r, r.ec2.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("volume-id", t.ID)}})
				return err == nil && len(out.Volumes) > 0, err
			}
	case console.ThingSnapshot:
		return func() error {
				_, err := call(ctx, r, r.ec2.DeleteSnapshot, &ec2.DeleteSnapshotInput{SnapshotId: id})
				return err
			}, func() (bool, error) {
				out, err := call(ctx, r, r.ec2.DescribeSnapshots, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: []types.Filter{filter("snapshot-id", t.ID)}})
				return err == nil && len(out.Snapshots) > 0, err
			}
	case console.ThingAddress:
		return func() error {
				_, err := call(ctx, r, r.ec2.ReleaseAddress, &ec2.ReleaseAddressInput{AllocationId: id})
				return err
			}, func() (bool, error) {
				out, err := call(ctx, r, r.ec2.DescribeAddresses, &ec2.DescribeAddressesInput{Filters: []types.Filter{filter("allocation-id", t.ID)}})
				return err == nil && len(out.Addresses) > 0, err
			}
	case console.ThingGroup:
		return func() error {
				_, err := call(ctx, r, r.ec2.DeleteSecurityGroup, &ec2.DeleteSecurityGroupInput{GroupId: id})
				return err
			}, func() (bool, error) {
				out, err := call(ctx, r, r.ec2.DescribeSecurityGroups, &ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-id", t.ID)}})
				return err == nil && len(out.SecurityGroups) > 0, err
			}
	}
	return nil, nil
}
