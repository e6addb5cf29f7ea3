package ec2fake

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// An Instance is what a test sees of one.
type Instance struct {
	ID, Region, Zone, Subnet, Image, Type, State, Reason string
	Token, Profile, Behaviour, PublicIP                  string
	MetadataTokens                                       string // required, optional
	MetadataHops                                         int
	UserData                                             []byte
	Tags                                                 map[string]string
	Groups, Volumes                                      []string
	Spot, Protected                                      bool
	Launched                                             time.Time
}

// Instances are all there were, in the order of launch, those that are terminated among them.
func (f *Fake) Instances() []Instance {
	var seen []Instance
	f.inRegions(func(r *region) {
		for _, i := range ordered(r.instances) {
			view := Instance{ID: i.id, Region: r.name, Zone: i.subnet.zone, Subnet: i.subnet.id, Image: i.image, Type: i.kind, State: i.state, Reason: i.reason,
				Token: i.token, Profile: i.profile, Behaviour: i.behaviour, PublicIP: i.publicIP, MetadataTokens: i.tokens, MetadataHops: i.hops,
				UserData: slices.Clone(i.userData), Tags: maps.Clone(i.tags), Groups: slices.Clone(i.groups), Spot: i.spot, Protected: i.protected, Launched: i.made}
			for _, v := range r.inOrder(i) {
				view.Volumes = append(view.Volumes, v.id)
			}
			seen = append(seen, view)
		}
	})
	return seen
}

// A Volume is what a test sees of one.
type Volume struct {
	ID, Zone, Type, State, Instance, Device, Snapshot string
	Size                                              int // GiB
	Encrypted                                         bool
	Tags                                              map[string]string
}

// Volumes are all there are, in the order of making.
func (f *Fake) Volumes() []Volume {
	var seen []Volume
	f.inRegions(func(r *region) {
		for _, v := range ordered(r.volumes) {
			seen = append(seen, Volume{v.id, v.zone, v.kind, v.state, v.instance, v.device, v.snapshot, v.size, v.encrypted, maps.Clone(v.tags)})
		}
	})
	return seen
}

// A Group is what a test sees of a security group. Rules are like "tcp 80-80 from 0.0.0.0/0".
type Group struct {
	ID, Name, Description string
	Tags                  map[string]string
	Rules                 []string
}

// Groups are the security groups that were made, in the order of making.
func (f *Fake) Groups() []Group {
	var seen []Group
	f.inRegions(func(r *region) {
		for _, g := range ordered(r.groups) {
			if g.name != "default" {
				seen = append(seen, Group{g.id, g.name, g.description, maps.Clone(g.tags), g.rules()})
			}
		}
	})
	return seen
}

// Left names all that was made and is not gone, described already or not.
func (f *Fake) Left() []string {
	left := []string{}
	f.inRegions(func(r *region) {
		add := func(kind, id, state string) { left = append(left, fmt.Sprintf("%s %s %s %s", r.name, kind, id, state)) }
		for _, i := range ordered(r.instances) {
			if i.state != "terminated" {
				add("instance", i.id, i.state)
			}
		}
		for _, v := range ordered(r.volumes) {
			add("volume", v.id, v.state)
		}
		for _, s := range ordered(r.snapshots) {
			add("snapshot", s.id, s.state)
		}
		for _, i := range ordered(r.images) {
			if i.owner == account {
				add("image", i.id, i.state)
			}
		}
		for _, g := range ordered(r.groups) {
			if g.name != "default" {
				add("group", g.id, g.name)
			}
		}
		for _, a := range ordered(r.addresses) {
			add("address", a.id, a.ip)
		}
	})
	return left
}

// inRegions looks at the regions in the order they were given, as they are by now.
func (f *Fake) inRegions(look func(*region)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, name := range f.opts.Regions {
		f.regions[name].settle()
		look(f.regions[name])
	}
}

// ordered are things in the order of making.
func ordered[T interface{ base() *resource }](things map[string]T) []T {
	return slices.SortedFunc(maps.Values(things), func(a, b T) int { return a.base().number - b.base().number })
}

// onInstance changes an instance; one that is not there is the test's mistake.
func (f *Fake) onInstance(id string, change func(*region, *instance)) {
	found := false
	f.inRegions(func(r *region) {
		if i, ok := r.instances[id]; ok {
			found = true
			change(r, i)
		}
	})
	if !found {
		panic("there is no instance " + id)
	}
}

// PowerOff turns a machine off from inside. What that means its shutdown behaviour says.
func (f *Fake) PowerOff(id string) {
	f.onInstance(id, func(r *region, i *instance) {
		const code, message = "Client.InstanceInitiatedShutdown", "Instance initiated shutdown"
		if i.behaviour == "terminate" || i.spot {
			i.end(r, code, message, "")
			return
		}
		i.stop(r, code, message, "")
	})
}

// Interrupt takes a spot machine back.
func (f *Fake) Interrupt(id string) {
	f.Kill(id, "Server.SpotInstanceTermination", "Spot instance termination")
}

// Kill ends a machine for a reason of EC2's own, like Client.VolumeLimitExceeded or Server.InternalError.
func (f *Fake) Kill(id, code, message string) {
	f.onInstance(id, func(r *region, i *instance) { i.end(r, code, message, code) })
}

// Advance moves the clock that all there is ages by.
func (f *Fake) Advance(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.advanced += d
}

// Lag has what is made from now on not be described, nor be known by its id, for d.
func (f *Fake) Lag(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lag = d
}

// Calls are all that were signed well, in the order they were answered.
func (f *Fake) Calls() []Call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// Forget empties the log of calls.
func (f *Fake) Forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls = nil
}

// Watch is told of each call before it is done; nil: nobody is.
func (f *Fake) Watch(watch func(Call)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = watch
}

// Stop turns a machine off from outside, so that it can be turned on again.
func (f *Fake) Stop(id string) {
	f.onInstance(id, func(r *region, i *instance) {
		i.stop(r, "Client.UserInitiatedShutdown", "User initiated shutdown", "User initiated")
	})
}
