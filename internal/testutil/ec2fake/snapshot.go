package ec2fake

import (
	"slices"
	"time"
)

// A snapshot is a copy of a volume.
type snapshot struct {
	resource
	volume, description string
	size                int
	encrypted           bool
	state               string // pending, completed
	at                  time.Time
}

// copyOf begins a snapshot.
func (r *region) copyOf(v *volume, description string, tags map[string]string) *snapshot {
	own := map[string]string{}
	for key, value := range tags {
		own[key] = value
	}
	s := &snapshot{resource: r.make("snap", own), volume: v.id, description: description, size: v.size, encrypted: v.encrypted, state: "pending", at: r.later()}
	r.snapshots[s.id] = s
	return s
}

func (s *snapshot) describe() []element {
	return []element{tx("snapshotId", s.id), tx("volumeId", s.volume), tx("status", s.state), tx("state", s.state), tx("startTime", when(s.made)), tx("ownerId", account),
		tx("volumeSize", s.size), tx("description", s.description), tx("encrypted", s.encrypted), tagSet(s.tags)}
}

func (s *snapshot) has(filter string) []string {
	switch filter {
	case "snapshot-id":
		return []string{s.id}
	case "volume-id":
		return []string{s.volume}
	case "status":
		return []string{s.state}
	case "owner-id":
		return []string{account}
	case "description":
		return []string{s.description}
	}
	return nil
}

func (r *region) createSnapshot(p params) ([]element, error) {
	v, err := find(r, r.volumes, p.get("VolumeId"), "InvalidVolume", "volume")
	if err != nil {
		return nil, err
	}
	if v.state != "available" && v.state != "in-use" {
		return nil, refuse("IncorrectState", "Volume '%s' is in the '%s' state.", v.id, v.state)
	}
	tags, err := p.tagsOf("snapshot")
	if err != nil {
		return nil, err
	}
	return r.copyOf(v, p.get("Description"), tags).describe(), nil
}

// createSnapshots copies all disks of a machine at one moment.
func (r *region) createSnapshots(p params) ([]element, error) {
	i, err := find(r, r.instances, p.get("InstanceSpecification.InstanceId"), "InvalidInstanceID", "instance ID")
	if err != nil {
		return nil, err
	}
	disks := r.inOrder(i)
	if i.state != "running" && i.state != "stopped" || len(disks) == 0 {
		return nil, refuse("IncorrectInstanceState", "Instance '%s' is not in the 'running' or 'stopped' state", i.id)
	}
	tags, err := p.tagsOf("snapshot")
	if err != nil {
		return nil, err
	}
	var items [][]element
	for _, v := range disks {
		if v.device == rootDevice && p.is("InstanceSpecification.ExcludeBootVolume") {
			continue
		}
		items = append(items, r.copyOf(v, p.get("Description"), tags).describe())
	}
	return []element{set("snapshotSet", items)}, nil
}

func (r *region) describeSnapshots(p params) ([]element, error) {
	return describe(r, p, "SnapshotId", "snapshotSet", r.snapshots, "InvalidSnapshot", "snapshot",
		func(s *snapshot) field { return s.has }, (*snapshot).describe)
}

func (r *region) deleteSnapshot(p params) ([]element, error) {
	s, err := find(r, r.snapshots, p.get("SnapshotId"), "InvalidSnapshot", "snapshot")
	if err != nil {
		return nil, err
	}
	for _, i := range r.images {
		if slices.ContainsFunc(i.disks, func(d disk) bool { return d.snapshot == s.id }) {
			return nil, refuse("InvalidSnapshot.InUse", "The snapshot %s is currently in use by %s", s.id, i.id)
		}
	}
	delete(r.snapshots, s.id)
	return done(), nil
}
