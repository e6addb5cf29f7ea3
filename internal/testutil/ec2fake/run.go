package ec2fake

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
)

const (
	rootDevice   = "/dev/xvda"
	mostUserData = 16384 // bytes
)

// runInstances is RunInstances, of one instance a call.
func (r *region) runInstances(p params) ([]element, error) {
	where := "run" // a client token is a zone's where the zone is named, and a region's where it is not
	if id := p.get("SubnetId"); id != "" {
		if s := r.subnets[id]; s != nil {
			where += " " + s.zone
		}
	}
	where += p.get("Placement.AvailabilityZone")
	ids, before, err := r.again(p, where)
	if err != nil {
		return nil, err
	}
	if before {
		return r.reservation(r.instances[ids[0]]), nil
	}
	i, disk, err := r.plan(p)
	if err != nil {
		return nil, err
	}
	i.resource = r.make("i", i.tags)
	i.change(r, "pending", "running")
	i.privateIP = i.subnet.address(i.number)
	if i.subnet.public {
		i.publicIP = publicAddress(i.number)
	}
	r.instances[i.id] = i
	disk.resource = r.make("vol", disk.tags)
	disk.state, disk.instance, disk.attached, disk.device, disk.since = "in-use", i.id, "attached", rootDevice, i.made
	r.volumes[disk.id] = disk
	r.remember(p, where, i.id)
	return r.reservation(i), nil
}

// plan looks at all that is asked of an instance, and makes nothing.
func (r *region) plan(p params) (*instance, *volume, error) {
	i := &instance{token: p.get("ClientToken"), spot: p.get("InstanceMarketOptions.MarketType") == "spot", protected: p.is("DisableApiTermination")}
	for _, check := range []func(params, *instance) error{r.planCount, r.planImage, r.planUserData, r.planPlace, r.planRest} {
		if err := check(p, i); err != nil {
			return nil, nil, err
		}
	}
	var err error
	if i.tags, err = p.tagsOf("instance"); err != nil {
		return nil, nil, err
	}
	disk, err := r.planDisk(p, i)
	if err != nil {
		return nil, nil, err
	}
	return i, disk, r.room(i)
}

func (r *region) planCount(p params, _ *instance) error {
	for _, name := range []string{"MinCount", "MaxCount"} {
		switch n, err := p.number(name, 0); {
		case err != nil:
			return err
		case n == 0:
			return refuse("MissingParameter", "The request must contain the parameter %s", name)
		case n != 1:
			return refuse("InternalError", "this fake runs one instance a call, not %d", n).status(500)
		}
	}
	return nil
}

func (r *region) planImage(p params, i *instance) error {
	i.image, i.kind = p.get("ImageId"), p.get("InstanceType")
	if i.image == "" {
		return refuse("MissingParameter", "The request must contain the parameter ImageId")
	}
	image, err := find(r, r.images, i.image, "InvalidAMIID", "image id")
	if err != nil {
		return err
	}
	if image.state != "available" {
		return refuse("InvalidAMIID.Unavailable", "The image ID '%s' is not available", i.image)
	}
	if i.kind == "" {
		i.kind = "m1.small"
	}
	kind, err := r.kind(i.kind)
	if err != nil {
		return err
	}
	if i.arch = image.arch; kind.arch != image.arch {
		return refuse("InvalidParameterValue", "The architecture '%s' of the specified instance type does not match the architecture '%s' of the specified AMI. "+
			"Specify an instance type and an AMI that have matching architectures, and try again.", kind.arch, image.arch)
	}
	return nil
}

func (r *region) planUserData(p params, i *instance) (err error) {
	if i.userData, err = base64.StdEncoding.DecodeString(p.get("UserData")); err != nil {
		return refuse("InvalidUserData.Malformed", "Invalid BASE64 encoding of user data.")
	}
	if len(i.userData) > mostUserData {
		return refuse("InvalidParameterValue", "User data is limited to %d bytes", mostUserData)
	}
	return nil
}

// planPlace finds the subnet, and the groups.
func (r *region) planPlace(p params, i *instance) error {
	from := p
	public := ""
	if interfaces := p.each("NetworkInterface"); len(interfaces) > 0 {
		if p.get("SubnetId") != "" || len(p.list("SecurityGroupId")) > 0 {
			return refuse("InvalidParameterCombination", "Network interfaces and an instance-level subnet ID or security groups may not be specified on the same request")
		}
		from, public = interfaces[0], interfaces[0].get("AssociatePublicIpAddress")
	}
	s, err := r.place(from.get("SubnetId"), p.get("Placement.AvailabilityZone"))
	if err != nil {
		return err
	}
	i.subnet = s
	if public != "" {
		with := *s
		with.public = public == "true"
		i.subnet = &with
	}
	if i.groups, err = r.groupsFor(from, s.vpc); err != nil {
		return err
	}
	if r.unoffered[s.zone+"/"+i.kind] {
		return refuse("Unsupported", "Your requested instance type (%s) is not supported in your requested Availability Zone (%s). "+
			"Please retry your request by not specifying an Availability Zone or choosing another.", i.kind, s.zone)
	}
	return nil
}

// place is a subnet by its id, or the default one of a zone.
func (r *region) place(id, zone string) (*subnet, error) {
	if id != "" {
		s, err := find(r, r.subnets, id, "InvalidSubnetID", "subnet ID")
		if err == nil && zone != "" && zone != s.zone {
			return nil, refuse("InvalidParameterValue", "Invalid Availability Zone: [%s]", zone)
		}
		return s, err
	}
	if zone != "" && !slices.Contains(r.zones, zone) {
		return nil, refuse("InvalidParameterValue", "Invalid availability zone: [%s]", zone)
	}
	for _, s := range all(r, r.subnets) {
		if s.ofDefault && (zone == "" || zone == s.zone) {
			return s, nil
		}
	}
	return nil, refuse("VPCIdNotSpecified", "No default VPC for this user. GroupName is only supported for EC2-Classic and default VPC.")
}

// groupsFor are the groups that are named, or the network's default one.
func (r *region) groupsFor(p params, v *vpc) ([]string, error) {
	ids := p.list("SecurityGroupId")
	for _, name := range p.list("SecurityGroup") {
		g := r.groupNamed(name, v)
		if g == nil {
			return nil, refuse("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, v.id)
		}
		ids = append(ids, g.id)
	}
	for _, id := range ids {
		g, err := find(r, r.groups, id, "InvalidGroup", "security group")
		if err != nil {
			return nil, err
		}
		if g.vpc != v {
			return nil, refuse("InvalidParameter", "Security group %s and subnet belong to different networks.", id)
		}
	}
	if len(ids) == 0 {
		ids = []string{r.groupNamed("default", v).id}
	}
	return ids, nil
}

func (r *region) planRest(p params, i *instance) error {
	i.behaviour = p.get("InstanceInitiatedShutdownBehavior")
	switch i.behaviour {
	case "":
		i.behaviour = "stop"
	case "stop", "terminate":
	default:
		return refuse("InvalidParameterValue", "Value (%s) for parameter instanceInitiatedShutdownBehavior is invalid.", i.behaviour)
	}
	if i.spot && i.protected {
		return refuse("InvalidParameterCombination", "The parameter DisableApiTermination cannot be used with Spot Instances")
	}
	arn := strings.TrimPrefix(p.get("IamInstanceProfile.Arn"), "arn:aws:iam::"+account+":instance-profile/")
	if i.profile = cmp.Or(p.get("IamInstanceProfile.Name"), arn); i.profile != "" && !r.f.profiles[i.profile] {
		return refuse("InvalidParameterValue", "Value (%s) for parameter iamInstanceProfile.name is invalid. Invalid IAM Instance Profile name", i.profile)
	}
	if !r.f.opts.Compat {
		i.tokens, i.hops = "optional", 1
		if tokens := p.get("MetadataOptions.HttpTokens"); tokens != "" {
			i.tokens = tokens
		}
		var err error
		if i.hops, err = p.number("MetadataOptions.HttpPutResponseHopLimit", 1); err != nil {
			return err
		}
	}
	return nil
}

// planDisk is the root volume.
func (r *region) planDisk(p params, i *instance) (*volume, error) {
	tags, err := p.tagsOf("volume")
	if err != nil {
		return nil, err
	}
	from := r.images[i.image].disks[0]
	v := &volume{resource: resource{tags: tags}, size: from.size, kind: "gp2", zone: i.subnet.zone, goes: true, snapshot: from.snapshot}
	if r.f.opts.Compat {
		v.kind = ""
	}
	for _, mapping := range p.each("BlockDeviceMapping") {
		ebs := mapping.below("Ebs")
		if name := mapping.get("DeviceName"); name != rootDevice {
			return nil, refuse("InvalidBlockDeviceMapping", "this fake maps %s alone, not %s", rootDevice, name)
		}
		if v.size, err = ebs.number("VolumeSize", v.size); err != nil {
			return nil, err
		}
		if v.size < from.size {
			return nil, refuse("InvalidBlockDeviceMapping", "Volume of size %dGB is smaller than snapshot '%s', expect size>= %dGB", v.size, v.snapshot, from.size)
		}
		if kind := ebs.get("VolumeType"); kind != "" {
			if v.kind, err = r.volumeKind(kind); err != nil {
				return nil, err
			}
		}
		v.encrypted = ebs.is("Encrypted")
		v.goes = ebs.get("DeleteOnTermination") != "false"
	}
	return v, nil
}

// room says whether there is any for one more instance.
func (r *region) room(i *instance) error {
	if limit, ok := r.quota[i.spot]; ok {
		used := r.kinds()[i.kind].vcpus
		for _, other := range r.instances {
			if other.spot == i.spot && (other.state == "running" || other.state == "pending") {
				used += r.kinds()[other.kind].vcpus
			}
		}
		if used > limit && i.spot {
			return refuse("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
		}
		if used > limit && r.f.opts.Compat {
			return refuse("InstanceLimitExceeded", "You have requested more instances than your current instance limit allows for the specified instance type.")
		}
		if used > limit {
			return refuse("VcpuLimitExceeded", "You have requested more vCPU capacity than your current vCPU limit of %d allows for the instance bucket that the "+
				"specified instance type belongs to. Please visit http://aws.amazon.com/contact-us/ec2-request to request an adjustment to this limit.", limit)
		}
	}
	if r.full[i.subnet.zone] {
		return refuse("InsufficientInstanceCapacity", "We currently do not have sufficient %s capacity in the Availability Zone you requested (%s). "+
			"Our system will be working on provisioning additional capacity.", i.kind, i.subnet.zone).status(500)
	}
	return nil
}

// reservation is what one call launched.
func (r *region) reservation(i *instance) []element {
	return []element{tx("reservationId", "r-"+strings.TrimPrefix(i.id, "i-")), tx("ownerId", account), set("instancesSet", [][]element{i.describe(r)})}
}

func publicAddress(n int) string { return fmt.Sprintf("198.51.%d.%d", 100+n/250, n%250+1) }

func publicName(ip, region string) string {
	return "ec2-" + strings.ReplaceAll(ip, ".", "-") + "." + region + ".compute.amazonaws.com"
}
