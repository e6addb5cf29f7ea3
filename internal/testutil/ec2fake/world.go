package ec2fake

import "slices"

// in is a region by its name, empty the first; one that is not there is the test's mistake. f.mu is held.
func (f *Fake) in(name string) *region {
	if name == "" {
		name = f.opts.Regions[0]
	}
	r, ok := f.regions[name]
	if !ok {
		panic("there is no region " + name)
	}
	return r
}

// Regions are their names.
func (f *Fake) Regions() []string { return slices.Clone(f.opts.Regions) }

// Zones are a region's, in their order.
func (f *Fake) Zones(region string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.in(region).zones)
}

// Image is a public image: al2023, debian-12, debian-13 or ubuntu-24.04, for x86_64 or arm64.
func (f *Fake) Image(region, name, arch string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, i := range f.in(region).images {
		if i.owner == publicOwner && i.name == name+"-"+arch {
			return i.id
		}
	}
	panic("there is no image " + name + " for " + arch)
}

// RemoveImage takes an image away, as its owner may at any time.
func (f *Fake) RemoveImage(region, id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.in(region).images, id)
}

// SetParameter sets a parameter of SSM; an empty value removes it.
func (f *Fake) SetParameter(region, name, value string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.in(region); value == "" {
		delete(r.parameters, name)
	} else {
		r.parameters[name] = value
	}
}

// Parameters are the names of SSM's.
func (f *Fake) Parameters(region string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := []string{}
	for name := range f.in(region).parameters {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// AddProfile makes an instance profile.
func (f *Fake) AddProfile(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.profiles[name] = true
}

// AddVPC makes a network that is not the default one, with a subnet a zone, and returns these.
func (f *Fake) AddVPC(region string) (id string, subnets []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.in(region)
	v := r.newVPC(false)
	for _, zone := range r.zones {
		subnets = append(subnets, r.newSubnet(v, zone, "10.0.0.0/20").id)
	}
	return v.id, subnets
}

// Full says whether a zone has capacity.
func (f *Fake) Full(zone string, full bool) {
	f.byZone(zone, func(r *region) { r.full[zone] = full })
}

// Unoffer takes a type of instance out of a zone.
func (f *Fake) Unoffer(zone, kind string) {
	f.byZone(zone, func(r *region) { r.unoffered[zone+"/"+kind] = true })
}

func (f *Fake) byZone(zone string, change func(*region)) {
	found := false
	f.inRegions(func(r *region) {
		if slices.Contains(r.zones, zone) {
			found = true
			change(r)
		}
	})
	if !found {
		panic("there is no zone " + zone)
	}
}

// Quota limits the processors of instances that run; below 0: no limit.
func (f *Fake) Quota(region string, vcpus int) { f.setQuota(region, false, vcpus) }

// SpotQuota is Quota of spot instances.
func (f *Fake) SpotQuota(region string, vcpus int) { f.setQuota(region, true, vcpus) }

func (f *Fake) setQuota(region string, spot bool, vcpus int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.in(region); vcpus < 0 {
		delete(r.quota, spot)
	} else {
		r.quota[spot] = vcpus
	}
}
