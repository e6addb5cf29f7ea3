package ec2

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"popup/console"
)

const (
	pageSize = 1000
	// recently is how long a machine that was asked for and is not described yet is
	// listed all the same.
	recently = 5 * time.Minute
)

// A sighting is an instance of EC2's as it was described.
type sighting struct {
	types.Instance
	region *region
	owner  string // the account that it is of; empty: EC2 does not say
}

func (s sighting) id() string { return aws.ToString(s.InstanceId) }

func (s sighting) state() types.InstanceStateName {
	if s.State == nil {
		return types.InstanceStateNamePending
	}
	return s.State.Name
}

// live says whether it runs, or may run again.
func (s sighting) live() bool {
	return s.state() != types.InstanceStateNameTerminated && s.state() != types.InstanceStateNameShuttingDown
}

func (s sighting) gone() bool { return s.state() == types.InstanceStateNameTerminated }

func older(a, b sighting) int {
	return cmp.Or(a.launchTime().Compare(b.launchTime()), cmp.Compare(a.id(), b.id()))
}

func (s sighting) launchTime() time.Time { return aws.ToTime(s.LaunchTime) }

// machine is what a console knows of it.
func (s sighting) machine() console.Machine {
	m := console.Machine{Instance: tagged(s.Tags, tagInstance), ID: s.id(), Launched: s.launchTime(), Address: s.address(), Detail: s.detail()}
	switch s.state() {
	case types.InstanceStateNamePending:
		m.State = console.MachinePending
	case types.InstanceStateNameRunning, types.InstanceStateNameStopping: // it may still write
		m.State = console.MachineRunning
	default:
		m.State = console.MachineStopped
	}
	return m
}

// address is where it is reached: from everywhere, or in a network without public
// addresses from within.
func (s sighting) address() string {
	host := cmp.Or(aws.ToString(s.PublicDnsName), aws.ToString(s.PublicIpAddress))
	if s.region.compat { // its names may be known to itself alone
		host = aws.ToString(s.PublicIpAddress)
	}
	if host == "" && s.state() == types.InstanceStateNameRunning {
		host = cmp.Or(aws.ToString(s.PrivateIpAddress), aws.ToString(s.Ipv6Address))
	}
	if host == "" || !s.live() {
		return ""
	}
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if ip := net.ParseIP(strings.Trim(host, "[]")); ip != nil && ip.IsUnspecified() {
		return "" // so Eucalyptus says that there is none yet
	}
	return "http://" + host
}

// reasons are the sentences of what EC2 says of an end.
var reasons = map[string]string{
	"Server.SpotInstanceTermination":      "EC2 took this spot machine back, for others who pay more",
	"Server.SpotInstanceShutdown":         "EC2 took this spot machine back, for others who pay more",
	"Server.InsufficientInstanceCapacity": "EC2 had no such machine left to start it on",
	"Server.InternalError":                "EC2 failed to start it",
	"Server.ScheduledStop":                "EC2 stopped it, as its notice of maintenance said",
	"Client.InstanceInitiatedShutdown":    "it turned itself off",
	"Client.UserInitiatedShutdown":        "somebody ended it by EC2's own console or API, or this console did",
	"Client.VolumeLimitExceeded":          "the account may have no more volumes; remove some, or ask AWS for more",
	"Client.InvalidSnapshot.NotFound":     "the snapshot of its image is gone; give another --ec2-image",
	"Client.InternalError":                "its volume could not be made or opened; a key of the account's own may not be open to the image's encrypted snapshot",
}

// detail says why it is as it is; empty where there is nothing to say.
func (s sighting) detail() string {
	why := ""
	if s.StateReason != nil && s.state() != types.InstanceStateNameRunning && s.state() != types.InstanceStateNamePending {
		why = cmp.Or(reasons[aws.ToString(s.StateReason.Code)], aws.ToString(s.StateReason.Message))
	}
	switch s.state() {
	case types.InstanceStateNameShuttingDown:
		return strings.TrimPrefix(why+"; it is ending", "; ")
	case types.InstanceStateNameStopping:
		return strings.TrimPrefix(why+"; it is being turned off", "; ")
	}
	return why
}

// describe is what EC2 has that the filters ask for, in one region.
func (c *Cloud) describe(ctx context.Context, r *region, filters ...types.Filter) ([]sighting, error) {
	in := &ec2.DescribeInstancesInput{Filters: filters}
	if !r.compat {
		in.MaxResults = aws.Int32(pageSize)
	}
	return pages(func(next *string) ([]sighting, *string, error) {
		in.NextToken = next
		out, err := call(ctx, r, r.ec2.DescribeInstances, in)
		if err != nil {
			return nil, nil, err
		}
		var page []sighting
		for _, reservation := range out.Reservations {
			for _, i := range reservation.Instances {
				page = append(page, sighting{i, r, aws.ToString(reservation.OwnerId)})
			}
		}
		return page, out.NextToken, nil
	})
}

// find is all there is or was of an instance: by its tags, and by the tokens it was
// launched with, which it has from its first moment on.
func (c *Cloud) find(ctx context.Context, instance string) ([]sighting, error) {
	return everywhere(ctx, c, func(r *region) ([]sighting, error) {
		all, err := c.describe(ctx, r, filter("client-token", c.tokens(instance)...))
		if err != nil {
			return nil, err
		}
		byTag, err := c.describe(ctx, r, filter("tag:"+tagConsole, c.opts.Console), filter("tag:"+tagInstance, instance))
		for _, s := range byTag {
			if !slices.ContainsFunc(all, func(o sighting) bool { return o.id() == s.id() }) {
				all = append(all, s)
			}
		}
		return all, err
	})
}

// ours is all that is or was this console's. Where tags come afterwards, all is looked
// through: what was cut off before it had any is known by its token.
func (c *Cloud) ours(ctx context.Context) ([]sighting, error) {
	return everywhere(ctx, c, func(r *region) ([]sighting, error) {
		if !r.compat {
			return c.describe(ctx, r, filter("tag:"+tagConsole, c.opts.Console))
		}
		all, err := c.describe(ctx, r)
		return slices.DeleteFunc(all, func(s sighting) bool {
			_, ours := c.instanceOf(aws.ToString(s.ClientToken))
			return !ours && tagged(s.Tags, tagConsole) != c.opts.Console
		}), err
	})
}

// instance is the console's name for what was seen; empty: it cannot be known.
func (c *Cloud) instance(s sighting) string {
	if name := tagged(s.Tags, tagInstance); name != "" {
		return name
	}
	name, _ := c.instanceOf(aws.ToString(s.ClientToken))
	return name
}

// Machines implements console.Cloud. Where there are two of an instance, the one that was
// launched first counts, and the other one is ended.
func (c *Cloud) Machines(ctx context.Context) ([]console.Machine, error) {
	all, err := c.ours(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.own(ctx, all); err != nil {
		return nil, fmt.Errorf("write down whose machines these are: %w", err)
	}
	slices.SortFunc(all, older)
	listed := map[string]sighting{}
	for _, s := range all {
		name := c.instance(s)
		first, twice := listed[name]
		switch {
		case name == "":
			c.opts.Log.Warn("a machine of this console's has no name yet", "machine", s.id())
		case s.gone():
		case !twice || !first.live():
			listed[name] = s
		case s.live() && s.id() != first.id(): // one that is seen in two regions of one endpoint is one
			c.endSecond(ctx, name, first, s)
		}
	}
	machines := c.unseen(all)
	for name, s := range listed {
		m := s.machine()
		m.Instance = name
		machines = append(machines, m)
	}
	slices.SortFunc(machines, func(a, b console.Machine) int { return cmp.Compare(a.Instance, b.Instance) })
	return machines, nil
}

// endSecond ends a machine of which there is one already. It is looked at again each time.
func (c *Cloud) endSecond(ctx context.Context, instance string, first, second sighting) {
	c.opts.Log.Warn("two machines of an instance; the one launched later is ended", "instance", instance, "machine", first.id(), "second", second.id())
	if err := c.end(ctx, second); err != nil {
		c.opts.Log.Error("end the second machine of an instance", "instance", instance, "second", second.id(), "err", err)
	}
}

// unseen are the machines that were launched here just now, and that EC2 does not
// describe yet.
func (c *Cloud) unseen(described []sighting) []console.Machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	seen := map[string]bool{}
	for _, s := range described {
		seen[s.id()] = true
	}
	var machines []console.Machine
	for instance, a := range c.recent {
		switch {
		case time.Since(a.at) > recently:
			delete(c.recent, instance)
		case a.machine.ID != "" && !seen[a.machine.ID]:
			m := a.machine
			m.State = console.MachinePending
			machines = append(machines, m)
		}
	}
	return machines
}
