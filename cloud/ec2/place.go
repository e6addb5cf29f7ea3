package ec2

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// A place is where a machine can be.
type place struct {
	region            *region
	zone, subnet, vpc string
}

// placeFor is where an instance belongs. It follows from its number and the attempt alone,
// as long as the regions and subnets are the same: what was left open is asked again there.
func (c *Cloud) placeFor(ctx context.Context, l console.Launch) (place, error) {
	all, err := c.places(ctx)
	if err != nil {
		return place{}, err
	}
	if l.Volume != "" {
		volume, err := c.findVolume(ctx, l.Volume)
		if err != nil {
			return place{}, err
		}
		zone := aws.ToString(volume.AvailabilityZone)
		if all = slices.DeleteFunc(all, func(p place) bool { return p.zone != zone }); len(all) == 0 {
			return place{}, refused("the volume %s is in %s, and no subnet of that zone is used here; add one with --ec2-subnet", l.Volume, zone)
		}
	}
	if l.Image != "" { // it was baked in one region
		if all, err = c.placesWith(ctx, all, l.Image); err != nil {
			return place{}, err
		}
	}
	return all[(max(l.Number, 1)-1+l.Attempt)%len(all)], nil
}

func refused(format string, args ...any) error {
	return &console.RefusedError{Reason: fmt.Sprintf(format, args...)}
}

// places are all there are, never none: zone after zone, then region after region, and
// then the next subnet of each zone, so that neighbours are far apart.
func (c *Cloud) places(ctx context.Context) ([]place, error) {
	type turn struct {
		place
		nth, region int
	}
	turns, err := across(c.regions, func(r *region) ([]turn, error) {
		subnets, err := c.subnets(ctx, r)
		var turns []turn
		seen := map[string]int{}
		for _, s := range subnets {
			p := place{region: r, zone: aws.ToString(s.AvailabilityZone), subnet: aws.ToString(s.SubnetId), vpc: aws.ToString(s.VpcId)}
			turns = append(turns, turn{p, seen[p.zone], slices.Index(c.regions, r)})
			seen[p.zone]++
		}
		return turns, err
	})
	if err != nil {
		return nil, err
	}
	slices.SortStableFunc(turns, func(a, b turn) int { return cmp.Or(cmp.Compare(a.nth, b.nth), cmp.Compare(a.region, b.region)) })
	var all []place
	for _, t := range turns {
		all = append(all, t.place)
	}
	for _, id := range c.opts.Subnets {
		if !slices.ContainsFunc(all, func(p place) bool { return p.subnet == id }) {
			return nil, refused("there is no subnet %s in %s; correct --ec2-subnet, or add its --ec2-region", id, c.regionNames())
		}
	}
	if len(all) == 0 {
		return nil, refused("%s", strings.ReplaceAll(noVPC, "REGION", c.regionNames()))
	}
	return all, nil
}

func (c *Cloud) regionNames() string {
	var names []string
	for _, r := range c.regions {
		names = append(names, r.name)
	}
	return strings.Join(names, " and ")
}

// subnets are those of a region that machines may be in, by zone and id.
func (c *Cloud) subnets(ctx context.Context, r *region) ([]types.Subnet, error) {
	r.mu.Lock()
	old := r.subnets
	r.mu.Unlock()
	if old.fresh() {
		return old.value, nil
	}
	ask := filter("default-for-az", "true")
	if len(c.opts.Subnets) > 0 {
		ask = filter("subnet-id", c.opts.Subnets...)
	}
	subnets, err := pages(func(next *string) ([]types.Subnet, *string, error) {
		out, err := call(ctx, r, r.ec2.DescribeSubnets, &ec2.DescribeSubnetsInput{Filters: []types.Filter{ask}, NextToken: next})
		if err != nil {
			return nil, nil, err
		}
		return out.Subnets, out.NextToken, nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(subnets, func(a, b types.Subnet) int {
		return cmp.Or(cmp.Compare(aws.ToString(a.AvailabilityZone), aws.ToString(b.AvailabilityZone)), cmp.Compare(aws.ToString(a.SubnetId), aws.ToString(b.SubnetId)))
	})
	if len(subnets) > 0 { // who makes some now is not to wait until they are seen
		r.mu.Lock()
		r.subnets = kept[[]types.Subnet]{subnets, time.Now()}
		r.mu.Unlock()
	}
	return subnets, nil
}

// findVolume describes a volume, in whatever region it is.
func (c *Cloud) findVolume(ctx context.Context, id string) (types.Volume, error) {
	found, err := everywhere(ctx, c, func(r *region) ([]types.Volume, error) {
		out, err := call(ctx, r, r.ec2.DescribeVolumes, &ec2.DescribeVolumesInput{Filters: []types.Filter{filter("volume-id", id)}})
		if err != nil {
			return nil, err
		}
		return out.Volumes, nil
	})
	if err == nil && len(found) == 0 {
		err = refused("there is no volume %s in %s (any more)", id, c.regionNames())
	}
	if err != nil {
		return types.Volume{}, err
	}
	return found[0], nil
}

// placesWith are those of the places in whose region the image is.
func (c *Cloud) placesWith(ctx context.Context, all []place, id string) ([]place, error) {
	there, err := everywhere(ctx, c, func(r *region) ([]*region, error) {
		_, err := c.describeImage(ctx, r, id)
		switch {
		case is(err, "InvalidAMIID.NotFound"):
			return nil, nil
		case err != nil:
			return nil, err
		}
		return []*region{r}, nil
	})
	if err != nil {
		return nil, err
	}
	if all = slices.DeleteFunc(all, func(p place) bool { return !slices.Contains(there, p.region) }); len(all) == 0 {
		return nil, refused("the image %s is not in %s (any more); launch without it", id, c.regionNames())
	}
	return all, nil
}
