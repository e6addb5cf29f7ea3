package console

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"popup/apps"
)

// KindBake is of bakes.
const KindBake Kind = "bake"

// A BakeRequest asks for an image of an app. Either App or Repository is given.
type BakeRequest struct {
	App        apps.AppID `json:"app,omitempty"`        // of the catalogue
	Repository string     `json:"repository,omitempty"` // URL[#REF] with a manifest
	Cloud      string     `json:"cloud,omitempty"`      // empty: the console's default
}

// A BakeState is how far a bake is.
type BakeState string

// The states of a bake.
const (
	BakeInstalls BakeState = "installing" // its machine installs what the app needs, and turns itself off
	BakeCopies   BakeState = "copying"    // its cloud makes an image of the machine's disk
	BakeDone     BakeState = "done"
	BakeFailed   BakeState = "failed"
)

// A Bake is an image of an app that is made, or was. What is made for it belongs to an
// event of its own, which ends with it and whose receipt shows that all of it is gone.
type Bake struct {
	Event      string     `json:"event"` // an id, and the bake's own
	Deployment string     `json:"deployment"`
	Instance   string     `json:"instance"`
	Cloud      string     `json:"cloud"`
	App        apps.AppID `json:"app"`
	Title      string     `json:"title"` // the app's name
	By         string     `json:"by"`    // an actor's id
	State      BakeState  `json:"state"`
	// Tags are of the image: what it is of, and at which commits.
	Tags     map[string]string `json:"tags,omitempty"`
	Image    string            `json:"image,omitempty"`
	Failure  string            `json:"failure,omitempty"` // a sentence
	Created  time.Time         `json:"created"`
	Copies   time.Time         `json:"copies,omitzero"` // since when its cloud is asked for the image
	Finished time.Time         `json:"finished,omitzero"`
	Tries    int               `json:"tries,omitempty"`
	Due      time.Time         `json:"due,omitzero"`
}

func (b Bake) record() Record {
	return Record{Kind: KindBake, ID: b.Event, Parent: b.Event, Topic: b.Event, State: string(b.State), Sort: b.Created.UTC().Format(sortableTime), Due: b.Due}
}

// Over says that nothing becomes of it any more.
func (s BakeState) Over() bool { return s == BakeDone || s == BakeFailed }

const (
	verbBake = "bake"
	// bakeLasts is how long the event of a bake is open at most.
	bakeLasts = "6h"
)

// Bake makes an image of an app, from which its next launches start. It returns as soon as
// that is written down; what comes of it the operation tells, which is done once nothing
// but the image is left. The errors and the key are Launch's.
func (c *Console) Bake(ctx context.Context, a Actor, r BakeRequest, key string) (Operation, error) {
	return c.operate(ctx, a, beginning{verbBake, r, key, func() (prepared, error) { return c.prepareBake(ctx, a, r) }, c.bake})
}

func (c *Console) prepareBake(ctx context.Context, a Actor, r BakeRequest) (prepared, error) {
	name := cmp.Or(r.Cloud, c.opts.Cloud)
	if _, bakes := c.opts.Clouds[name].(Baker); !bakes && c.opts.Clouds[name] != nil {
		if err := authorise(a, Start, target{}); err != nil {
			return prepared{}, err
		}
		return prepared{}, &InputError{[]FieldError{{"cloud", fmt.Sprintf("%s makes no images of its machines; bake in another cloud", name)}}}
	}
	return c.prepare(ctx, a, LaunchRequest{
		Event: EventRequest{Name: "bake-" + newID(8), Title: "An image", End: bakeLasts},
		Apps:  []AppRequest{{App: r.App, Repository: r.Repository}},
		Cloud: r.Cloud, bakes: true,
	})
}

// toBake is an offer as an image is made of it: without settings, which belong to whoever
// launches it. Its error is an *InputError.
func (o offer) toBake() (offer, error) {
	m := &o.Manifest
	m.Lifetime, o.Lifetime = apps.Lifetime{}, apps.Lifetime{}
	if !takesSettings(*m) {
		m.Env = nil
		return o, nil
	}
	for _, name := range slices.Sorted(maps.Keys(m.Env)) {
		if v := m.Env[name]; v.Required || v.Generator != "" || v.Secret {
			return o, &InputError{[]FieldError{{"app", fmt.Sprintf("%s is built with the setting %s, which is another one at each launch, and would be the same in all that start from the image; launch it without one",
				o.Name, name)}}}
		}
	}
	return o, nil
}

// takesSettings says that what is installed of an app may depend on its settings.
func takesSettings(m apps.Manifest) bool {
	return len(m.Env) > 0 && (m.BuildCommand != "" || m.Data != nil && m.Data.Check.Command != "")
}

// bake writes down what was prepared.
func (c *Console) bake(tx Tx, a Actor, p prepared, o *Operation) error {
	d := p.deployments[0]
	p.event.Title, p.event.Bakes = "An image of "+d.Title, true
	under, err := c.bakes(tx, d)
	switch {
	case err != nil:
		return err
	case under != nil:
		return &ConflictError{fmt.Sprintf("an image of %s is being made in %s already; wait until that is done", d.Title, d.Cloud)}
	}
	if err := c.launch(tx, a, p, o); err != nil {
		return err
	}
	b := Bake{Event: o.Event, Deployment: d.ID, Instance: o.Instances[0], Cloud: d.Cloud, App: d.App, Title: d.Title, By: a.ID,
		State: BakeInstalls, Tags: c.imageTags(d), Created: c.now(), Due: c.now()}
	return put(tx, b)
}

// bakes is the bake of such an image that is under way; nil: there is none.
func (c *Console) bakes(tx Tx, d Deployment) (*Bake, error) {
	var found *Bake
	for _, state := range []BakeState{BakeInstalls, BakeCopies} {
		err := each(tx, Query{State: string(state)}, func(b Bake) {
			if b.Cloud == d.Cloud && b.Tags[tagImageOf] == imageOf(d) {
				found = &b
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return found, nil
}

// settleBake says whether the operation of a bake is done: once the image is there, or it
// is known why not, and all else that was made is gone.
func (o *Operation) settleBake(tx Tx, e Event, now time.Time) (bool, error) {
	b, err := get[Bake](tx, e.ID)
	if err != nil || !b.State.Over() || !e.State.archived() {
		return false, err
	}
	o.State, o.Finished, o.Failure = OperationDone, now, b.Failure
	if b.State == BakeFailed {
		o.State = OperationFailed
	}
	return true, nil
}

// archived says that nothing of an event is left, or all that is was named.
func (s EventState) archived() bool { return s == EventArchived || s == EventPurged }

// Bakes are the images that are made, and the last that were, newest first.
func (c *Console) Bakes(ctx context.Context, a Actor) (all []Bake, err error) {
	if err := authorise(a, See, target{}); err != nil {
		return nil, err
	}
	const shown = 20
	err = c.store.View(ctx, func(tx Tx) error {
		all = nil
		return each(tx, Query{}, func(b Bake) {
			if all = append(all, b); len(all) > 2*shown {
				all = slices.Clone(all[shown:])
			}
		})
	})
	slices.Reverse(all)
	return all[:min(len(all), shown)], err
}

// BakeOf is the bake whose operation that is; ErrNotFound: it is of something else.
func (c *Console) BakeOf(ctx context.Context, a Actor, o Operation) (b Bake, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		if _, err := c.event(tx, a, See, o.Event); err != nil {
			return err
		}
		b, err = get[Bake](tx, o.Event)
		return err
	})
	return b, err
}
