package ec2fake

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// account is whose all of it is.
const account = "123456789012"

// A region is what there is in one place. All its methods are called with f.mu held.
type region struct {
	f         *Fake
	name      string
	zones     []string
	vpcs      map[string]*vpc
	subnets   map[string]*subnet
	groups    map[string]*group
	images    map[string]*image
	instances map[string]*instance
	volumes   map[string]*volume
	snapshots map[string]*snapshot
	addresses map[string]*address

	parameters map[string]string   // of SSM
	asked      map[string]once     // by client token
	full       map[string]bool     // zones without capacity
	unoffered  map[string]bool     // zone/type
	quota      map[bool]int        // vCPUs, of spot instances or not; absent: no limit
	pages      map[string][]string // instance ids that are still to be told, by token
}

// A once is what a client token was used for.
type once struct {
	asked string
	ids   []string
}

// A resource is what all things have.
type resource struct {
	id     string
	number int // in the order of making
	made   time.Time
	seen   time.Time // from when on it is described
	tags   map[string]string
}

func (b *resource) base() *resource { return b }

// make names a new thing.
func (r *region) make(prefix string, tags map[string]string) resource {
	r.f.sequence++
	if tags == nil {
		tags = map[string]string{}
	}
	now := r.f.now()
	return resource{id: prefix + "-0" + random(8), number: r.f.sequence, made: now, seen: now.Add(r.f.lag), tags: tags}
}

// later is when a change that begins now is complete.
func (r *region) later() time.Time { return r.f.now().Add(r.f.opts.Takes) }

// all is what is described already, in the order of making.
func all[T interface{ base() *resource }](r *region, things map[string]T) []T {
	now := r.f.now()
	return slices.SortedFunc(func(yield func(T) bool) {
		for thing := range maps.Values(things) {
			if !now.Before(thing.base().seen) && !yield(thing) {
				return
			}
		}
	}, func(a, b T) int { return cmp.Compare(a.base().number, b.base().number) })
}

// find is the thing of an id; an id just made may not be known yet.
func find[T interface{ base() *resource }](r *region, things map[string]T, id, kind, named string) (T, error) {
	thing, ok := things[id]
	prefix, _, _ := strings.Cut(id, "-")
	switch {
	case id == "":
		return thing, refuse("MissingParameter", "The request must contain the parameter of a %s", named)
	case !ok && !wellFormed(id):
		return thing, refuse(kind+".Malformed", "Invalid id: \"%s\" (expecting \"%s-...\")", id, prefix)
	case !ok || r.f.now().Before(thing.base().seen):
		return thing, refuse(kind+".NotFound", "The %s '%s' does not exist", named, id)
	}
	return thing, nil
}

// wellFormed says whether an id is one in its form.
func wellFormed(id string) bool {
	prefix, digits, ok := strings.Cut(id, "-")
	return ok && prefix != "" && (len(digits) == 8 || len(digits) == 17) && strings.Trim(digits, "0123456789abcdef") == ""
}

// newRegion is a region as an account finds it: a default network, public images.
func (f *Fake) newRegion(name string) *region {
	r := &region{
		f: f, name: name,
		vpcs: map[string]*vpc{}, subnets: map[string]*subnet{}, groups: map[string]*group{}, images: map[string]*image{},
		instances: map[string]*instance{}, volumes: map[string]*volume{}, snapshots: map[string]*snapshot{}, addresses: map[string]*address{},
		parameters: map[string]string{}, asked: map[string]once{}, full: map[string]bool{}, unoffered: map[string]bool{},
		quota: map[bool]int{}, pages: map[string][]string{},
	}
	for i := range f.opts.Zones {
		r.zones = append(r.zones, name+string(rune('a'+i)))
	}
	v := r.newVPC(!f.opts.NoDefaultVPC)
	if !f.opts.NoDefaultVPC {
		for i, zone := range r.zones {
			r.newSubnet(v, zone, fmt.Sprintf("172.31.%d.0/20", i*16))
		}
	}
	r.publish()
	return r
}

// settle has become what is due by now.
func (r *region) settle() {
	now := r.f.now()
	for _, i := range r.instances {
		i.settle(r, now)
	}
	for _, v := range r.volumes {
		v.settle(r, now)
	}
	for _, s := range r.snapshots {
		if s.state == "pending" && !now.Before(s.at) {
			s.state = "completed"
		}
	}
	for _, i := range r.images {
		if i.state == "pending" && !now.Before(i.at) {
			i.state = "available"
		}
	}
}

// again is what a client token was used for before; an error where it was another request.
func (r *region) again(p params, where string) ([]string, bool, error) {
	token := p.get("ClientToken")
	if token == "" {
		return nil, false, nil
	}
	if len(token) > 64 {
		return nil, false, refuse("InvalidParameterValue", "Invalid value '%s' for clientToken. Length must be less than or equal to 64", token)
	}
	before, ok := r.asked[where+" "+token]
	if ok && before.asked != p.canonical() {
		return nil, false, refuse("IdempotentParameterMismatch", "Arguments on this idempotent request are inconsistent with arguments used in previous request(s).")
	}
	return before.ids, ok, nil
}

// remember keeps what a client token was used for.
func (r *region) remember(p params, where string, ids ...string) {
	if token := p.get("ClientToken"); token != "" {
		r.asked[where+" "+token] = once{p.canonical(), ids}
	}
}

// tagSet is a thing's tags as they are described.
func tagSet(tags map[string]string) element {
	var items [][]element
	for _, key := range slices.Sorted(maps.Keys(tags)) {
		items = append(items, []element{tx("key", key), tx("value", tags[key])})
	}
	return set("tagSet", items)
}
