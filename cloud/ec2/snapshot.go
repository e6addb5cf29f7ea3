package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// tagWhy says to people why a snapshot was made.
const tagWhy = "popup:why"

// A copied is a snapshot as it was described.
type copied struct {
	types.Snapshot
	region *region
}

func (s copied) id() string { return aws.ToString(s.SnapshotId) }

// Snapshot implements console.VolumeKeeper. A snapshot is complete later than it is made,
// and holds what was on the disk when it was made; so nothing waits for it. Those of a
// machine and a reason are found by their description, which they have from the beginning.
func (c *Cloud) Snapshot(ctx context.Context, instance, why string) ([]console.Thing, error) {
	unlock, err := c.busy.lock(ctx, "snapshot/"+instance)
	if err != nil {
		return nil, err
	}
	defer unlock()
	s, err := c.owner(ctx, instance)
	if err != nil {
		return nil, err
	}
	description := fmt.Sprintf("popup %s %s %s", c.mark(), s.id(), hash(why)[:12])
	tags := append(snapshotTags(s.Tags), types.Tag{Key: aws.String(tagWhy), Value: aws.String(cut(why, mostTagValue))})
	var found []copied
	err = c.askOnce(ctx, func() (bool, error) {
		found, err = describeSnapshots(ctx, s.region, filter("description", description))
		return err == nil && len(missingOf(s, found)) == 0, err
	}, func() error {
		if s.region.compat {
			return copyDisks(ctx, s.region, missingOf(s, found), description)
		}
		_, err := call(ctx, s.region, func(ctx context.Context, in *ec2.CreateSnapshotsInput, _ ...func(*ec2.Options)) (*ec2.CreateSnapshotsOutput, error) {
			return s.region.ec2.CreateSnapshots(ctx, in, single)
		}, &ec2.CreateSnapshotsInput{InstanceSpecification: &types.InstanceSpecification{InstanceId: s.InstanceId}, Description: aws.String(description),
			TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeSnapshot, Tags: tags}}})
		return err
	})
	if errors.Is(err, errUnsettled) {
		err = fmt.Errorf("EC2 does not describe the snapshots of %s yet", s.id())
	}
	if err != nil {
		return nil, err
	}
	var things []console.Thing
	for _, one := range found {
		if tagged(one.Tags, tagConsole) == "" {
			if err := c.tag(ctx, s.region, one.id(), tags); err != nil {
				return nil, err
			}
			one.Tags = tags
		}
		things = append(things, thing(console.ThingSnapshot, s.region, one.SnapshotId, one.Tags, fmt.Sprintf("%d GiB of %s", aws.ToInt32(one.VolumeSize), aws.ToString(one.VolumeId))))
	}
	return things, nil
}

// snapshotTags are a machine's own, as far as they are ours: by them its snapshots go when
// the event is over.
func snapshotTags(tags []types.Tag) (own []types.Tag) {
	for _, t := range tags {
		if strings.HasPrefix(aws.ToString(t.Key), "popup:") {
			own = append(own, t)
		}
	}
	return own
}

// cut shortens a text for people to so many bytes at most, in whole characters.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "")
}

// missingOf are the disks of a machine that there is no snapshot of.
func missingOf(s sighting, found []copied) (volumes []string) {
	for _, b := range s.BlockDeviceMappings {
		if b.Ebs == nil {
			continue
		}
		id := aws.ToString(b.Ebs.VolumeId)
		if !slices.ContainsFunc(found, func(c copied) bool { return aws.ToString(c.VolumeId) == id }) {
			volumes = append(volumes, id)
		}
	}
	return volumes
}

// copyDisks copies one disk after the other, where EC2 cannot copy all at one moment.
func copyDisks(ctx context.Context, r *region, volumes []string, description string) error {
	for _, volume := range volumes {
		_, err := call(ctx, r, func(ctx context.Context, in *ec2.CreateSnapshotInput, _ ...func(*ec2.Options)) (*ec2.CreateSnapshotOutput, error) {
			return r.ec2.CreateSnapshot(ctx, in, single)
		}, &ec2.CreateSnapshotInput{VolumeId: aws.String(volume), Description: aws.String(description)})
		if err != nil {
			return err
		}
	}
	return nil
}

func describeSnapshots(ctx context.Context, r *region, filters ...types.Filter) ([]copied, error) {
	return pages(func(next *string) (found []copied, more *string, err error) {
		out, err := call(ctx, r, r.ec2.DescribeSnapshots, &ec2.DescribeSnapshotsInput{OwnerIds: []string{"self"}, Filters: filters, NextToken: next})
		if err != nil {
			return nil, nil, err
		}
		for _, s := range out.Snapshots {
			found = append(found, copied{s, r})
		}
		return found, out.NextToken, nil
	})
}

// findSnapshot is one of this console's snapshots, in whatever region it is, complete.
func (c *Cloud) findSnapshot(ctx context.Context, id string) (copied, error) {
	found, err := everywhere(ctx, c, func(r *region) ([]copied, error) { return describeSnapshots(ctx, r, filter("snapshot-id", id)) })
	switch {
	case err != nil:
		return copied{}, err
	case len(found) == 0:
		return copied{}, refused("there is no snapshot %s in %s (any more)", id, c.regionNames())
	case found[0].State == types.SnapshotStatePending:
		return copied{}, fmt.Errorf("the snapshot %s is not complete yet (%s)", id, aws.ToString(found[0].Progress))
	case found[0].State == types.SnapshotStateError:
		return copied{}, refused("the snapshot %s in %s failed, and holds nothing", id, found[0].region.name)
	}
	return found[0], nil
}

// askOnce asks for what would be done twice if it were asked for twice: it looks first, and
// after an answer that was lost it looks for as long as EC2 may take to describe what it
// made. do does what is not there.
func (c *Cloud) askOnce(ctx context.Context, there func() (bool, error), do func() error) error {
	var lost time.Time
	answered := false
	return c.until(ctx, callTimeout+c.opts.Settle, func() (bool, error) {
		if ok, err := there(); ok || err != nil {
			return ok, err
		}
		if answered || !lost.IsZero() && time.Since(lost) < c.opts.Settle {
			return false, nil
		}
		err := do()
		switch {
		case ctx.Err() != nil:
			return false, err
		case err == nil:
			answered = true
			return false, nil
		case unsure(err):
			lost = time.Now()
			return false, nil
		case throttled(err):
			return false, nil
		}
		return false, err
	})
}

// throttled says that EC2 asks us to come later, and did nothing.
func throttled(err error) bool {
	return retry.ThrottleErrorCode{Codes: retry.DefaultThrottleErrorCodes}.IsErrorThrottle(err).Bool()
}
