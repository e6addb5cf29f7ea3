package ec2

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// tagVolume marks the volume of a deployment's state; its value is what the volume began
// with: blank, or a snapshot's id.
const tagVolume = "popup:volume"

const (
	blank = "blank"
	// volumePatience is how long a volume may take to be there.
	volumePatience = 5 * time.Minute
	gib            = 1 << 30
	mostVolumeGiB  = 16384
)

// MakeVolume implements console.VolumeKeeper. The volume is found by its tags, or is asked
// for with a client token that is made of the deployment: asked again in its zone, EC2
// answers with the same one. Where there are no client tokens for volumes (Compat), a kill
// between the making and the tagging leaves an empty volume that nobody knows.
func (c *Cloud) MakeVolume(ctx context.Context, ask console.VolumeAsk) (console.Volume, error) {
	switch {
	case ask.EventID == "" || ask.Deployment == "":
		return console.Volume{}, errNoEvent
	case ask.VolumeSize > mostVolumeGiB*gib || ask.VolumeSize <= 0 && ask.Snapshot == "":
		return console.Volume{}, refused("a volume for state has 1 to %d GiB; correct the state's size in the app's manifest", mostVolumeGiB)
	}
	unlock, err := c.busy.lock(ctx, "volume/"+ask.EventID+"/"+ask.Deployment)
	if err != nil {
		return console.Volume{}, err
	}
	defer unlock()
	found, err := c.volumesOf(ctx, ask)
	if err != nil {
		return console.Volume{}, err
	}
	if len(found) == 0 {
		made, err := c.createVolume(ctx, ask)
		if err != nil {
			return console.Volume{}, err
		}
		found = []held{made}
		c.opts.Log.Info("volume made", "deployment", ask.Deployment, "volume", made.id(), "place", made.zone())
	}
	return c.ready(ctx, found[0])
}

// A held is a volume as it was described.
type held struct {
	types.Volume
	region *region
}

func (h held) id() string   { return aws.ToString(h.VolumeId) }
func (h held) zone() string { return aws.ToString(h.AvailabilityZone) }

// volumesOf are those that were made for a deployment, the oldest first.
func (c *Cloud) volumesOf(ctx context.Context, ask console.VolumeAsk) ([]held, error) {
	found, err := everywhere(ctx, c, func(r *region) ([]held, error) {
		return describeVolumes(ctx, r, append(c.ofEvent(ask.EventID), filter("tag:"+tagDeployment, ask.Deployment), filter("tag:"+tagVolume, began(ask)))...)
	})
	found = slices.DeleteFunc(found, func(h held) bool { return h.State == types.VolumeStateDeleting || h.State == types.VolumeStateDeleted })
	slices.SortStableFunc(found, func(a, b held) int { return aws.ToTime(a.CreateTime).Compare(aws.ToTime(b.CreateTime)) })
	return found, err
}

func began(ask console.VolumeAsk) string {
	if ask.Snapshot != "" {
		return ask.Snapshot
	}
	return blank
}

func describeVolumes(ctx context.Context, r *region, filters ...types.Filter) ([]held, error) {
	return pages(func(next *string) (found []held, more *string, err error) {
		out, err := call(ctx, r, r.ec2.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: filters, NextToken: next})
		if err != nil {
			return nil, nil, err
		}
		for _, v := range out.Volumes {
			found = append(found, held{v, r})
		}
		return found, out.NextToken, nil
	})
}

// createVolume asks for a volume where the instance that it is for will start.
func (c *Cloud) createVolume(ctx context.Context, ask console.VolumeAsk) (held, error) {
	size := int32((ask.VolumeSize + gib - 1) / gib)
	var from *types.Snapshot
	if ask.Snapshot != "" {
		s, err := c.findSnapshot(ctx, ask.Snapshot)
		if err != nil {
			return held{}, err
		}
		from, size = &s.Snapshot, max(size, aws.ToInt32(s.VolumeSize))
		ask.Launch.Volume = ""
	}
	p, err := c.volumePlace(ctx, ask)
	if err != nil {
		return held{}, c.refusal(err)
	}
	in := &ec2.CreateVolumeInput{AvailabilityZone: aws.String(p.zone), Size: aws.Int32(size), VolumeType: types.VolumeType(c.opts.VolumeType)}
	if from != nil {
		in.SnapshotId = from.SnapshotId
	}
	if p.region.compat {
		return c.createUnmarked(ctx, p.region, in, c.volumeTags(ask))
	}
	in.ClientToken = aws.String(c.tokenMark() + "+" + hash(strings.Join([]string{ask.EventID, ask.Deployment, began(ask)}, "/"))[:40])
	in.Encrypted = aws.Bool(true)
	in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeVolume, Tags: c.volumeTags(ask)}}
	out, err := call(ctx, p.region, p.region.ec2.CreateVolume, in)
	if is(err, "IdempotentParameterMismatch") { // it was asked for in other words, and is not described yet
		return c.otherVolume(ctx, ask, err)
	}
	if err != nil {
		return held{}, c.refusal(err)
	}
	return held{types.Volume{VolumeId: out.VolumeId, AvailabilityZone: out.AvailabilityZone, State: out.State}, p.region}, nil
}

// volumeTags are without what is of one instance or one launch: the same is asked for
// with the same words.
func (c *Cloud) volumeTags(ask console.VolumeAsk) []types.Tag {
	tags := c.tagsOf(console.Launch{Event: ask.Event, EventID: ask.EventID, Deployment: ask.Deployment, App: ask.App})
	return append(tags, types.Tag{Key: aws.String(tagVolume), Value: aws.String(began(ask))})
}

// volumePlace is where the instance would start: with a snapshot, in its region.
func (c *Cloud) volumePlace(ctx context.Context, ask console.VolumeAsk) (place, error) {
	if ask.Snapshot == "" {
		ask.Volume = ""
		return c.placeFor(ctx, ask.Launch)
	}
	s, err := c.findSnapshot(ctx, ask.Snapshot)
	if err != nil {
		return place{}, err
	}
	all, err := c.places(ctx)
	if all = slices.DeleteFunc(all, func(p place) bool { return p.region != s.region }); err == nil && len(all) == 0 {
		err = refused("the snapshot %s is in %s, and no subnet of that region is used here; add one with --ec2-subnet", ask.Snapshot, s.region.name)
	}
	if err != nil {
		return place{}, err
	}
	return all[(max(ask.Number, 1)-1+ask.Attempt)%len(all)], nil
}

// otherVolume is the one that was asked for before.
func (c *Cloud) otherVolume(ctx context.Context, ask console.VolumeAsk, mismatch error) (held, error) {
	var found []held
	err := c.until(ctx, c.opts.Settle, func() (ok bool, err error) {
		found, err = c.volumesOf(ctx, ask)
		return len(found) > 0, err
	})
	if errors.Is(err, errUnsettled) {
		return held{}, mismatch
	}
	if err != nil {
		return held{}, err
	}
	return found[0], nil
}

// createUnmarked makes a volume where it is marked afterwards. It is asked for once: asked
// again, there would be two.
func (c *Cloud) createUnmarked(ctx context.Context, r *region, in *ec2.CreateVolumeInput, tags []types.Tag) (held, error) {
	out, err := call(ctx, r, func(ctx context.Context, in *ec2.CreateVolumeInput, _ ...func(*ec2.Options)) (*ec2.CreateVolumeOutput, error) {
		return r.ec2.CreateVolume(ctx, in, single)
	}, in)
	if err != nil {
		if unsure(err) {
			return held{}, fmt.Errorf("%w; whether a volume of %d GiB was made is not known: look in the cloud's own console for one in %s without tags, and remove it",
				err, aws.ToInt32(in.Size), aws.ToString(in.AvailabilityZone))
		}
		return held{}, c.refusal(err)
	}
	made := held{types.Volume{VolumeId: out.VolumeId, AvailabilityZone: in.AvailabilityZone, State: out.State}, r}
	if err := c.tag(ctx, r, made.id(), tags); err != nil {
		undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), callTimeout)
		defer cancel()
		if left := c.Remove(undo, console.Thing{Kind: console.ThingVolume, ID: made.id(), Place: r.name}); left != nil {
			return held{}, fmt.Errorf("mark the volume %s: %w; it is left behind: %w", made.id(), err, left)
		}
		return held{}, fmt.Errorf("mark the volume %s, which was removed again: %w", made.id(), err)
	}
	return made, nil
}

// single has the SDK ask once: for what would be done twice.
func single(o *ec2.Options) { o.Retryer = aws.NopRetryer{} }

// unsure says whether what was asked may have been done in spite of the error.
func unsure(err error) bool {
	f, ok := errors.AsType[*fault](err)
	return ok && (f.code == "" || f.status >= http.StatusInternalServerError && !throttled(err))
}

// ready waits until a volume can be attached, and is described.
func (c *Cloud) ready(ctx context.Context, h held) (console.Volume, error) {
	var last types.VolumeState
	err := c.until(ctx, volumePatience, func() (bool, error) {
		found, err := describeVolumes(ctx, h.region, filter("volume-id", h.id()))
		if err != nil || len(found) == 0 {
			return false, err
		}
		switch last = found[0].State; last {
		case types.VolumeStateAvailable, types.VolumeStateInUse:
			return true, nil
		case types.VolumeStateCreating:
			return false, nil
		}
		return false, fmt.Errorf("the volume %s in %s is %s; remove it, and check whether the account may use its default key for volumes", h.id(), h.zone(), last)
	})
	if errors.Is(err, errUnsettled) {
		return console.Volume{}, fmt.Errorf("the volume %s in %s is not available after %v (%s); EC2 is asked again", h.id(), h.zone(), volumePatience, last)
	}
	return console.Volume{ID: h.id(), Place: h.zone()}, err
}
