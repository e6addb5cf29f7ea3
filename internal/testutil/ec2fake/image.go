package ec2fake

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// An image is what instances start from: a public one, or one of this account's.
type image struct {
	resource
	name, description, arch, owner string
	disks                          []disk // the first is the root
	state                          string
	at                             time.Time // when a pending one is available
}

// A disk is what a volume is made from.
type disk struct {
	size     int // GiB
	snapshot string
}

// publicOwner is whose the public images are.
const publicOwner = "137112412989"

// published are the paths that SSM finds public images by.
var published = map[string]map[string]string{
	"al2023": {
		"x86_64": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-x86_64", "arm64": "/aws/service/ami-amazon-linux-latest/al2023-ami-kernel-default-arm64"},
	"debian-12": {"x86_64": "/aws/service/debian/release/12/latest/amd64", "arm64": "/aws/service/debian/release/12/latest/arm64"},
	"debian-13": {"x86_64": "/aws/service/debian/release/13/latest/amd64", "arm64": "/aws/service/debian/release/13/latest/arm64"},
	"ubuntu-24.04": {
		"x86_64": "/aws/service/canonical/ubuntu/server/24.04/stable/current/amd64/hvm/ebs-gp3/ami-id",
		"arm64":  "/aws/service/canonical/ubuntu/server/24.04/stable/current/arm64/hvm/ebs-gp3/ami-id"},
}

// publish makes the public images of a region.
func (r *region) publish() {
	for name, paths := range published {
		for arch, path := range paths {
			i := &image{resource: r.make("ami", nil), name: name + "-" + arch, arch: arch, owner: publicOwner, state: "available", disks: []disk{{8, r.make("snap", nil).id}}}
			r.images[i.id] = i
			r.parameters[path] = i.id
		}
	}
}

// getParameter is SSM's GetParameter.
func (r *region) getParameter(p params) ([]element, error) {
	name := p.get("Name")
	value, ok := r.parameters[name]
	if !ok {
		return nil, refuse("ParameterNotFound", "Parameter %s not found.", name)
	}
	return []element{tx("Name", name), tx("Type", "String"), tx("Value", value), tx("DataType", "aws:ec2:image")}, nil
}

func (r *region) describeImages(p params) ([]element, error) {
	owners := slices.Concat(p.list("Owner"), p.list("ImageOwner"))
	for n, owner := range owners {
		if owner == "self" {
			owners[n] = account
		}
	}
	owned := maps.Clone(r.images)
	maps.DeleteFunc(owned, func(_ string, i *image) bool { return len(owners) > 0 && !slices.Contains(owners, i.owner) })
	return describe(r, p, "ImageId", "imagesSet", owned, "InvalidAMIID", "image id",
		func(i *image) field {
			return func(filter string) []string {
				switch filter {
				case "image-id":
					return []string{i.id}
				case "name":
					return []string{i.name}
				case "state":
					return []string{i.state}
				case "architecture":
					return []string{i.arch}
				case "owner-id":
					return []string{i.owner}
				}
				return nil
			}
		},
		func(i *image) []element {
			var disks [][]element
			for n, d := range i.disks {
				disks = append(disks, []element{tx("deviceName", fmt.Sprintf("/dev/xvd%c", 'a'+n)),
					el("ebs", tx("snapshotId", d.snapshot), tx("volumeSize", d.size), tx("deleteOnTermination", true))})
			}
			return []element{tx("imageId", i.id), tx("name", i.name), tx("description", i.description), tx("imageState", i.state), tx("imageOwnerId", i.owner),
				tx("isPublic", i.owner == publicOwner), tx("architecture", i.arch), tx("imageType", "machine"), tx("rootDeviceType", "ebs"),
				tx("rootDeviceName", rootDevice), tx("virtualizationType", "hvm"), tx("creationDate", when(i.made)), set("blockDeviceMapping", disks), tagSet(i.tags)}
		})
}

// createImage is CreateImage. It copies all disks of the machine.
func (r *region) createImage(p params) ([]element, error) {
	i, err := find(r, r.instances, p.get("InstanceId"), "InvalidInstanceID", "instance ID")
	if err != nil {
		return nil, err
	}
	name := p.get("Name")
	switch {
	case len(name) < 3 || len(name) > 128 || strings.ContainsAny(name, "\"<>;:*"):
		return nil, refuse("InvalidAMIName.Malformed", "AMI names must be between 3 and 128 characters long, and may contain letters, numbers, "+
			"'(', ')', '.', '-', '/' and '_'")
	case i.state != "running" && i.state != "stopped":
		return nil, refuse("IncorrectInstanceState", "Instance '%s' is not in the 'running' or 'stopped' state", i.id)
	}
	for _, other := range r.images {
		if other.owner == account && other.name == name {
			return nil, refuse("InvalidAMIName.Duplicate", "AMI name %s is already in use by AMI %s", name, other.id)
		}
	}
	tags, err := p.tagsOf("image")
	if err != nil {
		return nil, err
	}
	ofDisks, err := p.tagsOf("snapshot")
	if err != nil {
		return nil, err
	}
	made := &image{resource: r.make("ami", tags), name: name, description: p.get("Description"), arch: i.arch, owner: account, state: "pending", at: r.later()}
	for _, v := range r.inOrder(i) {
		s := r.copyOf(v, fmt.Sprintf("Created by CreateImage(%s) for %s", i.id, made.id), ofDisks)
		made.disks = append(made.disks, disk{s.size, s.id})
	}
	r.images[made.id] = made
	return []element{tx("imageId", made.id)}, nil
}

func (r *region) deregisterImage(p params) ([]element, error) {
	id := p.get("ImageId")
	i, err := find(r, r.images, id, "InvalidAMIID", "image id")
	if err != nil {
		return nil, err
	}
	if i.owner != account {
		return nil, refuse("AuthFailure", "Not authorized for image:%s", id).status(403)
	}
	delete(r.images, id)
	return done(), nil
}
