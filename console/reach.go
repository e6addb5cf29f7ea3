package console

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"

	"popup/internal/wire"
	"popup/userdata"
)

// A Reach is how the machines of a cloud come to this console, and what it knows of them
// by where they are. Zero: as browsers do, from somewhere else.
type Reach struct {
	URL    string          // without a / at its end; empty: the console's URL and Pin
	Pin    string          // of the certificate at URL
	Binary userdata.Binary // what they download; no URLs: the console's
	// SameMachine says that instances run on the console's own machine: its loopback address
	// is theirs, and so are its folders.
	SameMachine bool
	// Anonymous says that no machine is asked to prove which one it is, though its cloud
	// is an Identifier: there is nothing to hold a proof against.
	Anonymous bool
}

// reach is that of a cloud, with nothing left out.
func (c *Console) reach(cloud string) Reach {
	r := c.opts.Reach[cloud]
	if r.URL == "" {
		r.URL, r.Pin = c.opts.URL, c.opts.Pin
	}
	if len(r.Binary.URLs) == 0 {
		r.Binary = c.opts.Binary
	}
	return r
}

// check says why the instances of a cloud could not reach the console.
func (r Reach) check(cloud string) error {
	u, err := url.Parse(r.URL)
	if err != nil || u.Hostname() == "" {
		return fmt.Errorf("this console does not know its own address; start it with --url https://NAME")
	}
	ip := net.ParseIP(u.Hostname())
	loopback := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case loopback && !r.SameMachine:
		return fmt.Errorf("instances of %s could not reach this console at %s, which is an address of its own machine alone; start it with --url https://NAME", cloud, r.URL)
	case u.Scheme != "https" && !loopback:
		return fmt.Errorf("instances would not believe this console at %s, where what it says could be changed on its way; start it with --url https://NAME", r.URL)
	}
	return nil
}

// proof is the kind of proof that machines of a cloud are asked for; empty: none.
func (c *Console) proof(cloud string) string {
	if _, vouches := c.opts.Clouds[cloud].(Identifier); !vouches || c.reach(cloud).Anonymous {
		return ""
	}
	return wire.IdentityEC2
}

// launchOf is what a cloud is asked for an instance, but for the user-data.
func (c *Console) launchOf(e Event, d Deployment, i Instance) Launch {
	reach := c.reach(d.Cloud)
	l := Launch{Instance: i.ID, Event: e.Name, EventID: e.ID, Deployment: d.ID, App: string(d.App), Console: reach.URL,
		Number: i.Number, Attempt: i.Attempt, Catalogued: d.Catalogued(), CPUs: d.Needs.CPUs, Memory: int64(d.Needs.Memory), Disk: int64(d.Needs.Disk), Tags: c.tags(d)}
	if binary, err := reach.Binary.For(d.Architectures); err == nil { // else the user-data says so
		l.Architectures = slices.Sorted(maps.Keys(binary.SHA256))
	}
	if l.Bake = d.Plan.Bake; d.Image != nil && !i.Plain {
		l.Image = d.Image.ID
	}
	if d.onVolume() {
		l.Volume = d.Volume.ID
	}
	l.VolumeSize = d.volumeSize()
	return l
}

// mostTag is how long a tag may be in any cloud, about.
const mostTag = 250

// tags say what runs on a machine, for whoever looks at its cloud's own list.
func (c *Console) tags(d Deployment) map[string]string {
	tags := map[string]string{"popup:version": c.opts.Version, "popup:manifest": d.Commit, "popup:service": newestOf(d.Plan.Service, d)}
	if d.Plan.Data != nil {
		tags["popup:data"] = newestOf(*d.Plan.Data, Deployment{})
	}
	maps.DeleteFunc(tags, func(_, value string) bool { return value == "" })
	for name, value := range tags {
		tags[name] = cut(value, mostTag)
	}
	return tags
}

// newestOf is what a source was launched at, as far as that is known: a commit where the
// source is what was looked at, else a branch or a tag.
func newestOf(s wire.Source, d Deployment) string {
	at := s.Ref
	if d.Repository != "" && !d.Swapped {
		at = cmp.Or(d.Commit, at)
	}
	if at == "" {
		return s.URL
	}
	return s.URL + "@" + at
}
