package console

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"popup/apps"
	"popup/userdata"
)

// What bounds one launch.
const (
	mostApps     = 20
	mostCount    = 1000 // instances of an app
	mostSettings = 64 << 10
	mostSetting  = 100 // characters of its name
	mostDomains  = 20
	checkTimeout = 30 * time.Second // of one Cloud.Check
)

// prepared is a launch that only has to be written down.
type prepared struct {
	event       Event
	isNew       bool
	named       bool // the event's name was given, and not made of its title
	cloud       string
	offers      []offer
	deployments []Deployment
	notes       []string
	bakes       bool // an image is made of it
}

// prepare looks at all of a request, and returns everything that is wrong with it. It
// asks repositories and the cloud, and changes nothing.
func (c *Console) prepare(ctx context.Context, a Actor, r LaunchRequest) (prepared, error) {
	if err := authorise(a, Start, target{}); err != nil { // before anything is fetched
		return prepared{}, err
	}
	p := prepared{isNew: r.Event.ID == "", named: r.Event.Name != "", cloud: cmp.Or(r.Cloud, c.opts.Cloud), bakes: r.bakes}
	var w wrong
	if c.opts.Clouds[p.cloud] == nil {
		w.add("cloud", "there is no such cloud; these are: "+strings.Join(slices.Sorted(maps.Keys(c.opts.Clouds)), ", "))
	} else if err := c.reach(p.cloud).check(p.cloud); err != nil {
		w.add("cloud", err.Error())
	}
	switch {
	case len(r.Apps) == 0:
		w.add("apps", "choose at least one app")
	case len(r.Apps) > mostApps:
		w.add("apps", fmt.Sprintf("launch at most %d apps at once", mostApps))
		return p, w.err()
	}
	for i, app := range r.Apps {
		o, err := c.offer(ctx, app)
		if err == nil && p.bakes {
			o, err = o.toBake()
		}
		if err = w.found(appField(i), err); err != nil {
			return p, err
		}
		p.offers = append(p.offers, o)
	}
	var err error
	if p.event, err = c.eventFor(ctx, a, r.Event, p.offers, &w); err != nil {
		return p, err
	}
	for i, app := range r.Apps {
		if p.offers[i].ID == "" {
			continue // it was not found
		}
		d, err := c.deploymentOf(ctx, a, p, p.offers[i], app)
		d.Created = d.Created.Add(time.Duration(i)) // they are listed in this order
		if err = w.found(appField(i), err); err != nil {
			return p, err
		}
		p.deployments = append(p.deployments, d)
		p.note(p.offers[i], d)
	}
	if err := w.err(); err != nil {
		return p, err
	}
	c.startFromImages(ctx, &p)
	if err := c.checkCloud(ctx, p); err != nil {
		return p, err
	}
	return p, c.price(ctx, &p)
}

func appField(i int) string { return fmt.Sprintf("apps[%d]", i) }

// found notes what is wrong with an input; any other error is returned.
func (w *wrong) found(field string, err error) error {
	var input *InputError
	if err == nil || errors.As(err, &input) {
		w.check(field, err)
		return nil
	}
	return err
}

func (p *prepared) note(o offer, d Deployment) {
	title := ""
	if len(p.offers) > 1 {
		title = d.Title + ": "
	}
	for _, text := range slices.Concat(o.Notes, userdata.Notes(o.Loaded, o.Overrides, d.Plan)) {
		p.notes = append(p.notes, title+flags.Replace(text))
	}
}

// flags puts a command line's words into a form's.
var flags = strings.NewReplacer("--service", "service", "--data", "data")

// eventFor is the event that is launched into; what is wrong with a new one is noted.
func (c *Console) eventFor(ctx context.Context, a Actor, r EventRequest, offers []offer, w *wrong) (e Event, err error) {
	life := lifetimeOf(offers)
	if r.ID == "" {
		if r.Title == "" && len(offers) > 0 {
			r.Title = cmp.Or(r.Name, offers[0].Name)
		}
		var in wrong
		e = c.newEvent(ctx, a, r, life, &in)
		w.check("event", in.err())
		return e, nil
	}
	if (r != EventRequest{ID: r.ID}) {
		w.add("event.id", "an event that is there keeps its name and its dates; give its id alone, and change it before or after")
	}
	err = c.store.View(ctx, func(tx Tx) error { e, err = c.event(tx, a, Start, r.ID); return err })
	if errors.Is(err, ErrNotFound) {
		w.add("event.id", "there is no such event")
		return e, nil
	}
	if err == nil {
		err = e.may(stepLaunch)
	}
	if most := time.Duration(life.MaxTTL); err == nil && most > 0 && e.EndsAt.Sub(later(e.StartsAt, c.now())) > most {
		w.add("event.id", fmt.Sprintf("it lasts longer than one of these apps may live, which is %s; make an event of its own for that", life.MaxTTL))
	}
	return e, err
}

// lifetimeOf is what all of them may live: the shortest of each.
func lifetimeOf(offers []offer) (life apps.Lifetime) {
	for _, o := range offers {
		for _, t := range []struct{ least, of *apps.Duration }{{&life.DefaultTTL, &o.Lifetime.DefaultTTL}, {&life.MaxTTL, &o.Lifetime.MaxTTL}} {
			if *t.of > 0 && (*t.least == 0 || *t.of < *t.least) {
				*t.least = *t.of
			}
		}
	}
	return life
}

// deploymentOf is what an offer becomes. Its error is an *InputError, or the console's own.
func (c *Console) deploymentOf(ctx context.Context, a Actor, p prepared, o offer, r AppRequest) (Deployment, error) {
	var w wrong
	d := Deployment{ID: newID(8), Event: p.event.ID, Title: cmp.Or(r.Title, o.Name), App: o.ID, Repository: o.Repository, Commit: o.Commit, Swapped: r.Service != "" || r.Data != "",
		Cloud: p.cloud, Count: max(r.Count, 1), Lifetime: o.Lifetime, Architectures: o.Resources.Architectures, Needs: o.Resources, Created: c.now()}
	w.check("title", checkTitle(d.Title))
	w.check("count", checkCount(o, r.Count, r.Domains))
	if err := checkSizes(r); err != nil {
		return d, err
	}
	with := o.Overrides
	with.Here = c.reach(p.cloud).SameMachine
	with.Service, with.Data = cmp.Or(r.Service, with.Service), cmp.Or(r.Data, with.Data)
	with.Settings, with.Domains, with.Fleet = r.Settings, r.Domains, d.Count
	plan, err := userdata.NewPlan(o.Loaded, with)
	if err != nil {
		w.plan(o.Manifest, err)
		return d, w.err()
	}
	if err := c.checkSources(ctx, o, r, plan); err != nil {
		w.fields = append(w.fields, err.(*InputError).Fields...)
	}
	plan.Settings, plan.Bake = nil, p.bakes // the instance is told settings when it enrolled
	d.Plan = plan
	if d.HasState() {
		if err := c.keepState(&d); err != nil {
			return d, err
		}
	}
	if r.Volume {
		c.wantVolume(&d, &w)
	}
	if d.Restore, err = c.beginning(ctx, a, d, r.Restore, &w); err != nil {
		return d, err
	}
	if err := c.splitSettings(&d, o.Manifest, r.Settings); err != nil {
		return d, err
	}
	if _, err := c.userData(p.event, d, c.plannedInstance(p.event, d, d.Count), ""); err != nil && p.event.End != "" {
		w.add("app", err.Error())
	}
	return d, w.err()
}

func checkCount(o offer, count int, domains []string) error {
	switch {
	case count < 0 || count > mostCount:
		return fmt.Errorf("launch from 1 to %d instances of an app", mostCount)
	case count > 1 && o.State != nil:
		return fmt.Errorf("%s keeps what its visitors write, and each instance would keep its own; launch one, or make several events", o.Name)
	case count > 1 && len(domains) > 0:
		return errors.New("a domain leads to one instance; launch one, or leave the domains out")
	}
	return nil
}

// checkSizes says what is too long to be looked at any further.
func checkSizes(r AppRequest) error {
	var w wrong
	total := 0
	for name, value := range r.Settings {
		total += len(name) + len(value)
		if len(name) > mostSetting {
			w.add("settings", fmt.Sprintf("the name of a setting has at most %d characters", mostSetting))
		}
	}
	if total > mostSettings {
		w.add("settings", fmt.Sprintf("all settings together have at most %d bytes", mostSettings))
	}
	for field, address := range map[string]string{"service": r.Service, "data": r.Data} {
		if len(address) > mostAddress {
			w.add(field, fmt.Sprintf("an address has at most %d characters", mostAddress))
		}
	}
	if len(r.Domains) > mostDomains || slices.ContainsFunc(r.Domains, func(d string) bool { return len(d) > 300 }) {
		w.add("domains", fmt.Sprintf("give at most %d domains, each as DNS has it", mostDomains))
	}
	return w.err()
}

// plan notes what NewPlan says, by the fields of an AppRequest.
func (w *wrong) plan(m apps.Manifest, err error) {
	if all, joined := err.(interface{ Unwrap() []error }); joined {
		for _, one := range all.Unwrap() {
			w.plan(m, one)
		}
		return
	}
	if problems, ok := err.(apps.Problems); ok {
		for _, p := range problems {
			name, _ := strings.CutPrefix(p.Field, "settings.")
			if setting, known := m.Env[name]; known && p.Hint != "" && setting.Required {
				p.Hint = strings.Join(strings.Fields(setting.Description), " ") // not the command line's
			}
			w.add(p.Field, sentences(p.Message, p.Hint))
		}
		return
	}
	field, text := "app", err.Error()
	for prefix, of := range map[string]string{"--service": "service", "--data": "data", "domain": "domains"} {
		if strings.HasPrefix(text, prefix) {
			field = of
		}
	}
	w.add(field, strings.TrimPrefix(flags.Replace(text), field+": "))
}

// splitSettings keeps what was given, and seals what is not to be shown.
func (c *Console) splitSettings(d *Deployment, m apps.Manifest, given map[string]string) (err error) {
	secrets := map[string]string{}
	for name, value := range given {
		if slices.Contains(m.SecretNames(), name) {
			secrets[name] = value
			continue
		}
		if d.Settings == nil {
			d.Settings = map[string]string{}
		}
		d.Settings[name] = value
	}
	d.SecretNames = slices.Sorted(maps.Keys(secrets))
	d.Secrets, err = c.sealSecrets(d.ID, secrets)
	return err
}

// checkCloud asks the cloud whether such machines can be had.
func (c *Console) checkCloud(ctx context.Context, p prepared) error {
	var w wrong
	for i, d := range p.deployments {
		first := c.plannedInstance(p.event, d, 1)
		ask := c.launchOf(p.event, d, first)
		var err error
		if ask.UserData, err = c.userData(p.event, d, first, ""); err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, checkTimeout)
		err = c.opts.Clouds[p.cloud].Check(within, ask)
		late := within.Err()
		cancel()
		if err != nil && late != nil {
			return fmt.Errorf("ask %s for a machine: %w", p.cloud, err)
		}
		if err != nil {
			w.add(appField(i), err.Error())
		}
	}
	return w.err()
}
