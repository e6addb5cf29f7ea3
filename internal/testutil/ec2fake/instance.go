package ec2fake

import (
	"maps"
	"slices"
	"time"
)

// An instance is a machine, or was one.
type instance struct {
	resource
	image, kind, arch, token, profile string
	subnet                            *subnet
	groups                            []string
	userData                          []byte
	spot, protected                   bool
	behaviour                         string // when it turns itself off: stop, terminate
	tokens                            string // of its metadata service: required, optional
	hops                              int
	privateIP, publicIP               string

	state      string
	next       string    // what it becomes at
	at         time.Time // this time; next empty: it stays
	reason     string    // code of why it is as it is
	message    string
	transition string
}

// stateCodes are the numbers of the states.
var stateCodes = map[string]int{"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}

// settle has an instance become what it becomes.
func (i *instance) settle(r *region, now time.Time) {
	if i.next == "" || now.Before(i.at) {
		return
	}
	i.state, i.next = i.next, ""
	switch i.state {
	case "stopped":
		i.publicIP = ""
	case "terminated":
		i.publicIP, i.privateIP, i.groups = "", "", nil
		for _, v := range r.volumes {
			v.leave(r, i)
		}
		for _, a := range r.addresses {
			if a.instance == i.id {
				a.instance = ""
			}
		}
	}
}

// change begins what takes a while.
func (i *instance) change(r *region, now, next string) {
	i.state, i.next, i.at = now, next, r.later()
}

// because says why an instance changes.
func (i *instance) because(r *region, code, message, transition string) {
	i.reason, i.message = code, code+": "+message
	i.transition = transition
	if transition == "User initiated" {
		i.transition += r.f.now().UTC().Format(" (2006-01-02 15:04:05 MST)")
	}
}

// end terminates an instance.
func (i *instance) end(r *region, code, message, transition string) {
	if i.state == "terminated" || i.state == "shutting-down" {
		return
	}
	i.because(r, code, message, transition)
	i.change(r, "shutting-down", "terminated")
}

// stop turns an instance off.
func (i *instance) stop(r *region, code, message, transition string) {
	if i.state != "running" && i.state != "pending" {
		return
	}
	i.because(r, code, message, transition)
	i.change(r, "stopping", "stopped")
}

func stateOf(name, state string) element {
	return el(name, tx("code", stateCodes[state]), tx("name", state))
}

// describe is an instance as EC2 describes one.
func (i *instance) describe(r *region) []element {
	e := []element{
		tx("instanceId", i.id), tx("imageId", i.image), stateOf("instanceState", i.state), tx("instanceType", i.kind),
		tx("launchTime", when(i.made)), tx("architecture", i.arch), tx("rootDeviceType", "ebs"), tx("rootDeviceName", rootDevice), tx("reason", i.transition),
		el("placement", tx("availabilityZone", i.subnet.zone), tx("tenancy", "default")),
		tx("clientToken", i.token), tagSet(i.tags),
	}
	if i.reason != "" {
		e = append(e, el("stateReason", tx("code", i.reason), tx("message", i.message)))
	}
	if i.spot {
		e = append(e, tx("instanceLifecycle", "spot"))
	}
	if i.profile != "" {
		e = append(e, el("iamInstanceProfile", tx("arn", "arn:aws:iam::"+account+":instance-profile/"+i.profile)))
	}
	if i.tokens != "" {
		e = append(e, el("metadataOptions", tx("state", "applied"), tx("httpTokens", i.tokens), tx("httpPutResponseHopLimit", i.hops), tx("httpEndpoint", "enabled")))
	}
	if i.state == "terminated" {
		return append(e, tx("privateDnsName", ""), tx("dnsName", ""))
	}
	var groups, disks [][]element
	for _, id := range i.groups {
		groups = append(groups, []element{tx("groupId", id), tx("groupName", r.groups[id].name)})
	}
	for _, v := range r.inOrder(i) {
		disks = append(disks, []element{tx("deviceName", v.device), el("ebs", tx("volumeId", v.id), tx("status", v.attached),
			tx("attachTime", when(v.since)), tx("deleteOnTermination", v.goes))})
	}
	e = append(e, tx("subnetId", i.subnet.id), tx("vpcId", i.subnet.vpc.id), tx("privateIpAddress", i.privateIP), set("groupSet", groups), set("blockDeviceMapping", disks))
	if i.publicIP != "" {
		e = append(e, tx("ipAddress", i.publicIP), tx("dnsName", publicName(i.publicIP, r.name)))
	}
	return e
}

// inOrder are the volumes of an instance, its root first.
func (r *region) inOrder(i *instance) []*volume {
	var disks []*volume
	for _, v := range r.volumes {
		if v.instance == i.id {
			disks = append(disks, v)
		}
	}
	slices.SortFunc(disks, func(a, b *volume) int {
		switch rootDevice {
		case a.device:
			return -1
		case b.device:
			return 1
		}
		return a.number - b.number
	})
	return disks
}

// has is what filters ask of an instance.
func (i *instance) has(filter string) []string {
	switch filter {
	case "instance-id":
		return []string{i.id}
	case "instance-state-name":
		return []string{i.state}
	case "client-token":
		return []string{i.token}
	case "instance-type":
		return []string{i.kind}
	case "availability-zone":
		return []string{i.subnet.zone}
	case "vpc-id":
		return []string{i.subnet.vpc.id}
	case "subnet-id":
		return []string{i.subnet.id}
	case "image-id":
		return []string{i.image}
	case "instance-lifecycle":
		if i.spot {
			return []string{"spot"}
		}
		return []string{}
	case "instance.group-id":
		return append([]string{}, i.groups...)
	}
	return nil
}

// kindOf is a type of instance: how its processors are called, how many it has, and its memory.
type kindOf struct {
	arch       string
	vcpus, mib int
}

var kinds = map[string]kindOf{
	"t2.micro": {"x86_64", 1, 1024}, "t3.nano": {"x86_64", 2, 512}, "t3.micro": {"x86_64", 2, 1024}, "t3.small": {"x86_64", 2, 2048}, "t3.medium": {"x86_64", 2, 4096}, "t3.large": {"x86_64", 2, 8192},
	"t3a.small": {"x86_64", 2, 2048}, "m7i.large": {"x86_64", 2, 8192}, "m7i.xlarge": {"x86_64", 4, 16384},
	"t4g.nano": {"arm64", 2, 512}, "t4g.micro": {"arm64", 2, 1024}, "t4g.small": {"arm64", 2, 2048}, "t4g.medium": {"arm64", 2, 4096}, "t4g.large": {"arm64", 2, 8192},
	"m7g.medium": {"arm64", 1, 4096}, "m7g.large": {"arm64", 2, 8192}, "m7g.xlarge": {"arm64", 4, 16384},
}

// oldKinds are what there is in Eucalyptus.
var oldKinds = map[string]kindOf{
	"t1.micro": {"x86_64", 1, 256}, "m1.small": {"x86_64", 1, 512}, "m1.medium": {"x86_64", 1, 1024}, "m1.large": {"x86_64", 2, 2048}, "m1.xlarge": {"x86_64", 2, 4096},
	"c1.medium": {"x86_64", 2, 512}, "m3.xlarge": {"x86_64", 4, 2048}, "m3.2xlarge": {"x86_64", 4, 4096},
}

// kinds are the types that there are.
func (r *region) kinds() map[string]kindOf {
	if r.f.opts.Compat {
		return oldKinds
	}
	return kinds
}

func (r *region) kind(name string) (kindOf, error) {
	if kind, ok := r.kinds()[name]; ok {
		return kind, nil
	}
	return kindOf{}, refuse("InvalidParameterValue", "Invalid value '%s' for InstanceType.", name)
}

// describeKinds is DescribeInstanceTypes.
func (r *region) describeKinds(p params) ([]element, error) {
	names := p.list("InstanceType")
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(r.kinds()))
	}
	var items [][]element
	for _, name := range names {
		kind, ok := r.kinds()[name]
		if !ok {
			return nil, refuse("InvalidInstanceType", "The following supplied instance types do not exist: [%s]", name)
		}
		items = append(items, []element{tx("instanceType", name), tx("currentGeneration", true),
			el("processorInfo", el("supportedArchitectures", tx("item", kind.arch))), el("vCpuInfo", tx("defaultVCpus", kind.vcpus)), el("memoryInfo", tx("sizeInMiB", kind.mib))})
	}
	return []element{set("instanceTypeSet", items)}, nil
}

// describeOfferings is DescribeInstanceTypeOfferings, by zone.
func (r *region) describeOfferings(p params) ([]element, error) {
	byZone := p.get("LocationType") == "availability-zone"
	var items [][]element
	for _, name := range slices.Sorted(maps.Keys(r.kinds())) {
		locations := []string{r.name}
		if byZone {
			locations = r.zones
		}
		for _, location := range locations {
			if r.unoffered[location+"/"+name] {
				continue
			}
			ok, err := p.matches(nil, func(filter string) []string {
				switch filter {
				case "instance-type":
					return []string{name}
				case "location":
					return []string{location}
				}
				return nil
			})
			if err != nil {
				return nil, err
			}
			if ok {
				items = append(items, []element{tx("instanceType", name), tx("location", location)})
			}
		}
	}
	return []element{set("instanceTypeOfferingSet", items)}, nil
}
