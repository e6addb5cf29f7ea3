package ec2fake

import (
	"slices"
	"time"
)

// A volume is a disk.
type volume struct {
	resource
	size                 int // GiB
	kind, zone, snapshot string
	encrypted            bool

	state string // creating, available, in-use, deleting
	at    time.Time

	instance, device, attached string // that it is attached to, as what, and how far that is
	since                      time.Time
	goes                       bool // with its instance
}

// settle has a volume become what it becomes.
func (v *volume) settle(r *region, now time.Time) {
	if now.Before(v.at) {
		return
	}
	switch {
	case v.state == "creating":
		v.state = "available"
	case v.state == "deleting":
		delete(r.volumes, v.id)
	case v.attached == "attaching":
		v.attached = "attached"
	case v.attached == "detaching":
		v.state, v.instance, v.device, v.attached, v.goes = "available", "", "", "", false
	}
}

// leave parts a volume from an instance that is terminated.
func (v *volume) leave(r *region, i *instance) {
	if v.instance != i.id {
		return
	}
	if v.goes {
		delete(r.volumes, v.id)
		return
	}
	v.state, v.instance, v.device, v.attached = "available", "", "", ""
}

// volumeKind looks at a type of volume.
func (r *region) volumeKind(kind string) (string, error) {
	known := []string{"standard", "gp2", "gp3", "io1", "io2", "st1", "sc1"}
	if r.f.opts.Compat {
		known = []string{"standard", "io1"}
	}
	if !slices.Contains(known, kind) {
		return "", refuse("InvalidParameterValue", "Value (%s) for parameter volumeType is invalid.", kind)
	}
	return kind, nil
}

func (r *region) createVolume(p params) ([]element, error) {
	zone := p.get("AvailabilityZone")
	if zone == "" {
		return nil, refuse("MissingParameter", "The request must contain the parameter AvailabilityZone")
	}
	if !slices.Contains(r.zones, zone) {
		return nil, refuse("InvalidZone.NotFound", "The zone '%s' does not exist.", zone)
	}
	ids, before, err := r.again(p, "volume "+zone)
	if err != nil {
		return nil, err
	}
	if before {
		v := r.volumes[ids[0]]
		if v == nil {
			return nil, refuse("InvalidVolume.NotFound", "The volume '%s' does not exist.", ids[0])
		}
		return v.describe(), nil
	}
	v, err := r.planVolume(p)
	if err != nil {
		return nil, err
	}
	v.resource, v.zone, v.state, v.at = r.make("vol", v.tags), zone, "creating", r.later()
	r.volumes[v.id] = v
	r.remember(p, "volume "+zone, v.id)
	return v.describe(), nil
}

func (r *region) planVolume(p params) (*volume, error) {
	tags, err := p.tagsOf("volume")
	if err != nil {
		return nil, err
	}
	v := &volume{resource: resource{tags: tags}, kind: "gp2", encrypted: p.is("Encrypted"), snapshot: p.get("SnapshotId")}
	if r.f.opts.Compat {
		v.kind = ""
	}
	if kind := p.get("VolumeType"); kind != "" {
		if v.kind, err = r.volumeKind(kind); err != nil {
			return nil, err
		}
	}
	smallest := 1
	if v.snapshot != "" {
		s, err := find(r, r.snapshots, v.snapshot, "InvalidSnapshot", "snapshot")
		if err != nil {
			return nil, err
		}
		if s.state != "completed" {
			return nil, refuse("IncorrectState", "Snapshot is in invalid state - %s", s.state)
		}
		v.encrypted = v.encrypted || s.encrypted
		smallest = s.size
	}
	if v.size, err = p.number("Size", smallest); err != nil {
		return nil, err
	}
	if v.snapshot == "" && p.get("Size") == "" {
		return nil, refuse("MissingParameter", "The request must contain the parameter size/snapshot")
	}
	if v.size < smallest || v.size > 65536 {
		return nil, refuse("InvalidParameterValue", "Volume of %dGiB is invalid; expected %d to 65536.", v.size, smallest)
	}
	return v, nil
}

func (v *volume) describe() []element {
	e := []element{tx("volumeId", v.id), tx("size", v.size), tx("snapshotId", v.snapshot), tx("availabilityZone", v.zone), tx("status", v.state),
		tx("createTime", when(v.made)), tx("encrypted", v.encrypted), tagSet(v.tags)}
	if v.kind != "" {
		e = append(e, tx("volumeType", v.kind))
	}
	var attachments [][]element
	if v.instance != "" {
		attachments = append(attachments, append(v.attachment(), tx("deleteOnTermination", v.goes)))
	}
	return append(e, set("attachmentSet", attachments))
}

func (v *volume) attachment() []element {
	return []element{tx("volumeId", v.id), tx("instanceId", v.instance), tx("device", v.device), tx("status", v.attached), tx("attachTime", when(v.since))}
}

func (v *volume) has(filter string) []string {
	switch filter {
	case "volume-id":
		return []string{v.id}
	case "status":
		return []string{v.state}
	case "attachment.instance-id":
		return []string{v.instance}
	case "attachment.status":
		return []string{v.attached}
	case "availability-zone":
		return []string{v.zone}
	case "snapshot-id":
		return []string{v.snapshot}
	}
	return nil
}

func (r *region) describeVolumes(p params) ([]element, error) {
	return describe(r, p, "VolumeId", "volumeSet", r.volumes, "InvalidVolume", "volume",
		func(v *volume) field { return v.has }, (*volume).describe)
}

func (r *region) attachVolume(p params) ([]element, error) {
	v, err := find(r, r.volumes, p.get("VolumeId"), "InvalidVolume", "volume")
	if err != nil {
		return nil, err
	}
	i, err := find(r, r.instances, p.get("InstanceId"), "InvalidInstanceID", "instance ID")
	if err != nil {
		return nil, err
	}
	device := p.get("Device")
	switch {
	case device == "":
		return nil, refuse("MissingParameter", "The request must contain the parameter device")
	case v.instance != "":
		return nil, refuse("VolumeInUse", "%s is already attached to an instance", v.id)
	case v.state != "available":
		return nil, refuse("IncorrectState", "%s is not 'available'.", v.id)
	case i.state != "running" && i.state != "stopped":
		return nil, refuse("IncorrectState", "Instance '%s' is not 'running'.", i.id)
	case v.zone != i.subnet.zone:
		return nil, refuse("InvalidVolume.ZoneMismatch", "The volume '%s' is not in the same availability zone as instance '%s'", v.id, i.id)
	}
	for _, other := range r.inOrder(i) {
		if other.device == device {
			return nil, refuse("InvalidParameterValue", "Invalid value '%s' for unixDevice. Attachment point %s is already in use", device, device)
		}
	}
	v.state, v.instance, v.device, v.attached, v.since, v.at = "in-use", i.id, device, "attaching", r.f.now(), r.later()
	return v.attachment(), nil
}

func (r *region) detachVolume(p params) ([]element, error) {
	v, err := find(r, r.volumes, p.get("VolumeId"), "InvalidVolume", "volume")
	if err != nil {
		return nil, err
	}
	switch {
	case v.instance == "" || p.get("InstanceId") != "" && p.get("InstanceId") != v.instance:
		return nil, refuse("IncorrectState", "Volume '%s' is in the '%s' state.", v.id, v.state)
	case v.device == rootDevice && r.instances[v.instance].state != "stopped":
		return nil, refuse("OperationNotPermitted", "Unable to detach root volume '%s' from instance '%s'", v.id, v.instance)
	}
	if v.attached != "detaching" {
		v.attached, v.at = "detaching", r.later()
	}
	return v.attachment(), nil
}

func (r *region) deleteVolume(p params) ([]element, error) {
	v, err := find(r, r.volumes, p.get("VolumeId"), "InvalidVolume", "volume")
	if err != nil {
		return nil, err
	}
	switch {
	case v.instance != "":
		return nil, refuse("VolumeInUse", "Volume %s is currently attached to %s", v.id, v.instance)
	case v.state == "creating":
		return nil, refuse("IncorrectState", "The volume '%s' is 'creating'", v.id)
	case v.state != "deleting":
		v.state, v.at = "deleting", r.later()
	}
	return done(), nil
}
