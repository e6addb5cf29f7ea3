package ec2

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

// doors are the ports that a machine answers on. Nothing else comes in.
var doors = []int32{80, 443}

// groupName is the name of an event's security group: by it there is one in a network,
// whoever makes it, and it is found before it has tags.
func (c *Cloud) groupName(event string) string { return "popup-" + c.mark() + "-" + event }

// group is the security group of an event in a place's network; it is made where there
// is none.
func (c *Cloud) group(ctx context.Context, p place, l console.Launch) (string, error) {
	name := c.groupName(l.EventID)
	unlock, err := c.busy.lock(ctx, "group/"+p.vpc+"/"+name)
	if err != nil {
		return "", err
	}
	defer unlock()
	var g *types.SecurityGroup
	err = c.until(ctx, c.opts.Settle, func() (bool, error) { // one that was just made may not be described yet
		if g, err = c.findGroup(ctx, p, name); g != nil || err != nil {
			return true, err
		}
		g, err = c.makeGroup(ctx, p, name, l)
		if is(err, "InvalidGroup.Duplicate") {
			return false, nil
		}
		return true, err
	})
	if errors.Is(err, errUnsettled) {
		err = fmt.Errorf("EC2 in %s has a security group %s and does not describe it yet; it is asked again", p.region.name, name)
	}
	if err != nil {
		return "", err
	}
	if tagged(g.Tags, tagEvent) == "" {
		if err := c.tag(ctx, p.region, aws.ToString(g.GroupId), c.groupTags(l)); err != nil {
			return "", err
		}
	}
	return aws.ToString(g.GroupId), c.open(ctx, p.region, *g)
}

// groupTags are without what is of one instance.
func (c *Cloud) groupTags(l console.Launch) []types.Tag {
	return c.tagsOf(console.Launch{Event: l.Event, EventID: l.EventID})
}

func (c *Cloud) findGroup(ctx context.Context, p place, name string) (*types.SecurityGroup, error) {
	out, err := call(ctx, p.region, p.region.ec2.DescribeSecurityGroups,
		&ec2.DescribeSecurityGroupsInput{Filters: []types.Filter{filter("group-name", name), filter("vpc-id", p.vpc)}})
	if err != nil || len(out.SecurityGroups) == 0 {
		return nil, err
	}
	return &out.SecurityGroups[0], nil
}

func (c *Cloud) makeGroup(ctx context.Context, p place, name string, l console.Launch) (*types.SecurityGroup, error) {
	in := &ec2.CreateSecurityGroupInput{GroupName: aws.String(name), VpcId: aws.String(p.vpc), Description: aws.String("web pages in, for an event of popup")}
	made := &types.SecurityGroup{}
	if !p.region.compat {
		made.Tags = c.groupTags(l)
		in.TagSpecifications = []types.TagSpecification{{ResourceType: types.ResourceTypeSecurityGroup, Tags: made.Tags}}
	}
	out, err := call(ctx, p.region, p.region.ec2.CreateSecurityGroup, in)
	if err != nil {
		return nil, err
	}
	made.GroupId = out.GroupId
	return made, nil
}

// open lets web pages in, where a group does not yet.
func (c *Cloud) open(ctx context.Context, r *region, g types.SecurityGroup) error {
	var missing []types.IpPermission
	for _, port := range doors {
		rule := types.IpPermission{IpProtocol: aws.String("tcp"), FromPort: aws.Int32(port), ToPort: aws.Int32(port)}
		is := func(p types.IpPermission) bool {
			return aws.ToInt32(p.FromPort) == port && aws.ToInt32(p.ToPort) == port
		}
		if !slices.ContainsFunc(g.IpPermissions, func(p types.IpPermission) bool { return is(p) && len(p.IpRanges) > 0 }) {
			rule.IpRanges = []types.IpRange{{CidrIp: aws.String("0.0.0.0/0")}}
		}
		v6 := slices.ContainsFunc(g.IpPermissions, func(p types.IpPermission) bool { return is(p) && len(p.Ipv6Ranges) > 0 })
		if !v6 && !r.compat {
			rule.Ipv6Ranges = []types.Ipv6Range{{CidrIpv6: aws.String("::/0")}}
		}
		if len(rule.IpRanges)+len(rule.Ipv6Ranges) > 0 {
			missing = append(missing, rule)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	err := c.known(ctx, func() error {
		_, err := call(ctx, r, r.ec2.AuthorizeSecurityGroupIngress, &ec2.AuthorizeSecurityGroupIngressInput{GroupId: g.GroupId, IpPermissions: missing})
		return err
	})
	if is(err, "InvalidPermission.Duplicate") { // what was asked before was done, and its answer lost
		return nil
	}
	return err
}

// tag marks what could not be marked when it was made.
func (c *Cloud) tag(ctx context.Context, r *region, id string, tags []types.Tag) error {
	return c.known(ctx, func() error {
		_, err := call(ctx, r, r.ec2.CreateTags, &ec2.CreateTagsInput{Resources: []string{id}, Tags: tags})
		return err
	})
}

// errNoEvent is of a launch that is of no event: what is made for it would be found by nobody.
var errNoEvent = errors.New("what is launched on EC2 belongs to an event, and this names none")
