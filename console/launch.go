package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"popup/apps"
)

// A LaunchRequest asks for apps within an event, new or not.
type LaunchRequest struct {
	Event EventRequest `json:"event"`
	Apps  []AppRequest `json:"apps"`
	Cloud string       `json:"cloud,omitempty"` // empty: the console's default
	bakes bool         // an image is to be made of it
}

// An EventRequest names an event, or says what a new one is like.
type EventRequest struct {
	ID      string `json:"id,omitempty"`    // of one that is there; then nothing else may be given
	Name    string `json:"name,omitempty"`  // empty: made of Title
	Title   string `json:"title,omitempty"` // for people
	Start   string `json:"start,omitempty"` // a date, or a date and time; empty: at once
	Freeze  string `json:"freeze,omitempty"`
	End     string `json:"end,omitempty"`
	Zone    string `json:"zone,omitempty"`    // an IANA name; empty: UTC
	Webhook string `json:"webhook,omitempty"` // told of reminders and changes
	Cap     string `json:"cap,omitempty"`     // what it may cost, like 25.50; empty: as much as it does
}

// An AppRequest asks for one app. Either App or Repository is given.
type AppRequest struct {
	App        apps.AppID        `json:"app,omitempty"`        // of the catalogue
	Repository string            `json:"repository,omitempty"` // URL[#REF] with a manifest
	Commit     string            `json:"commit,omitempty"`     // that was looked at; another one is a conflict
	Title      string            `json:"title,omitempty"`      // empty: the app's name
	Count      int               `json:"count,omitempty"`      // of instances; 0: one
	Service    string            `json:"service,omitempty"`    // URL[#REF] of the code, instead of the manifest's
	Data       string            `json:"data,omitempty"`       // the same of the data
	Settings   map[string]string `json:"settings,omitempty"`
	Domains    []string          `json:"domains,omitempty"`
	// Restore is the backup that the app's state begins with, as INSTANCE/NAME: of the same
	// app, in any event whose archives may be fetched. Empty: it begins with nothing.
	Restore string `json:"restore,omitempty"`
	// Volume has its state on a disk of its own, which outlives the machine.
	Volume bool `json:"volume,omitempty"`
}

// A Preview is what a launch would do: what a person checks before the button.
type Preview struct {
	Event  Event
	New    bool   // the event is made by it
	Button string // Launch until 31 May
	Apps   []PreviewApp
	Cloud  string
	Count  int      // of instances, all together
	Notes  []string // sentences on what works less well than one might think
	EndsAt time.Time
	Quote  Quote // what it costs
}

// A PreviewApp is one app of a preview.
type PreviewApp struct {
	Deployment Deployment
	Name       string // the app's
	UserData   string // what an instance would be started with, its token left out
}

// Preview says what Launch would do, and does nothing. Its errors are Launch's.
func (c *Console) Preview(ctx context.Context, a Actor, r LaunchRequest) (Preview, error) {
	p, err := c.prepare(ctx, a, r)
	if err != nil {
		return Preview{}, err
	}
	v := Preview{Event: p.event, New: p.isNew, Button: "Launch until " + c.with(p).ending(c.now()), Cloud: p.cloud, Notes: p.notes, EndsAt: p.event.EndsAt, Quote: c.quote(p)}
	for i, d := range p.deployments {
		first := c.plannedInstance(p.event, d, 1)
		text, err := c.userData(p.event, d, first, "")
		if err != nil {
			return Preview{}, err
		}
		d.Secrets = nil
		v.Apps = append(v.Apps, PreviewApp{Deployment: d, Name: p.offers[i].Name, UserData: string(text)})
		v.Count += d.Count
	}
	return v, nil
}

// mostKey is how long an Idempotency-Key may be.
const mostKey = 200

// Launch makes what r asks for. It returns as soon as that is written down; what comes
// of it the operation tells. Asked again with the same key it returns the same operation
// and does nothing; with the same key and another request it is an *InputError. Other
// errors: *InputError for what was given, *ConflictError, ErrForbidden.
func (c *Console) Launch(ctx context.Context, a Actor, r LaunchRequest, key string) (Operation, error) {
	return c.operate(ctx, a, beginning{verbLaunch, r, key, func() (prepared, error) { return c.prepare(ctx, a, r) }, c.launch})
}

// A beginning is what is begun once a key: prepare looks at it outside of the store, and
// begin writes it down, in one transaction with its operation.
type beginning struct {
	verb    string
	request any
	key     string // empty: as often as it is asked for
	prepare func() (prepared, error)
	begin   func(Tx, Actor, prepared, *Operation) error
}

// operate begins something, and returns its operation.
func (c *Console) operate(ctx context.Context, a Actor, b beginning) (Operation, error) {
	o := Operation{ID: newID(16), Verb: b.verb, By: a.ID, State: OperationRunning, Created: c.now()}
	if err := o.once(a, b.request, b.key); err != nil {
		return Operation{}, err
	}
	var before *Operation
	err := c.store.View(ctx, func(tx Tx) (err error) { before, err = o.before(tx); return err })
	if err != nil || before != nil {
		return given(before), err
	}
	p, err := b.prepare()
	if err != nil {
		return Operation{}, err
	}
	err = c.store.Update(ctx, func(tx Tx) error {
		if before, err = o.before(tx); err != nil || before != nil {
			return err
		}
		return b.begin(tx, a, p, &o)
	})
	if err != nil {
		return Operation{}, err
	}
	if before != nil {
		return *before, nil
	}
	c.nudge()
	return o, nil
}

// once marks an operation with who asks for what by which key.
func (o *Operation) once(a Actor, r any, key string) error {
	if key == "" {
		return nil
	}
	if len(key) > mostKey {
		return &InputError{[]FieldError{{keyField, fmt.Sprintf("it has at most %d characters", mostKey)}}}
	}
	text, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	request, who := sha256.Sum256(text), sha256.Sum256([]byte(string(a.Kind)+"\x00"+a.ID+"\x00"+key))
	o.Request, o.Key = request[:], hex.EncodeToString(who[:])
	return nil
}

// keyField is how the API names the key of a launch.
const keyField = "Idempotency-Key"

// before is the operation itself where it was written already and its answer was lost, or
// the one that was made with the same key; nil: there is none. The error is an *InputError
// where another thing was asked for.
func (o *Operation) before(tx Tx) (*Operation, error) {
	was, err := get[Operation](tx, o.ID)
	if errors.Is(err, ErrNotFound) && o.Key != "" {
		was, err = find[Operation](tx, o.Key)
	}
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case err == nil && !bytes.Equal(was.Request, o.Request):
		return nil, &InputError{[]FieldError{{keyField, "this key was used for something else; take a new one"}}}
	}
	return &was, err
}

// launch writes down what was prepared.
func (c *Console) launch(tx Tx, a Actor, p prepared, o *Operation) error {
	e, now := p.event, c.now()
	var err error
	if p.isNew {
		if e.Name, err = freeName(tx, "event.name", e.Name, p.named); err != nil {
			return err
		}
	} else if e, err = c.event(tx, a, Start, e.ID); err != nil {
		return err
	} else if err := e.may(stepLaunch); err != nil { // it went on meanwhile
		return err
	}
	if e.State == EventDraft {
		if err := c.begin(tx, &e); err != nil {
			return err
		}
	}
	o.Event, o.Instances = e.ID, nil
	var titles []string
	for _, d := range p.deployments {
		if err := put(tx, d); err != nil {
			return err
		}
		titles = append(titles, d.Title)
		for n := range d.Count {
			i := c.newInstance(e, d, n+1)
			if err := put(tx, i); err != nil {
				return err
			}
			o.Instances = append(o.Instances, i.ID)
		}
	}
	if err := c.launchCapped(tx, &e, p); err != nil {
		return err
	}
	e.Due = e.nextDue()
	detail := fmt.Sprintf("launched %s as %d instances in %s, until %s", strings.Join(titles, ", "), len(o.Instances), p.cloud, e.until(now))
	return errors.Join(put(tx, e), put(tx, *o), c.audit(tx, a, o.Verb, "event/"+e.ID, detail))
}

// newInstance is instance n of a deployment; it is launched when its event is open.
func (c *Console) newInstance(e Event, d Deployment, n int) Instance {
	i := c.plannedInstance(e, d, n)
	i.Nonce, i.Created = []byte(newID(16)), c.now()
	i.TokenHash = hashOfToken(c.token(i))
	i.want(e)
	if e.State == EventOpen {
		i.Due = c.now()
	}
	return i
}

// plannedInstance is what a cloud is asked about before there is an instance n.
func (c *Console) plannedInstance(e Event, d Deployment, n int) Instance {
	return Instance{ID: instanceID(e, d, n), Event: e.ID, Deployment: d.ID, Number: n, Cloud: d.Cloud, State: InstancePlanned, Proof: c.proof(d.Cloud)}
}

// instanceID names an instance for whoever looks at a cloud's list. It ends with the
// number, so that those of a deployment ask for data one after the other.
func instanceID(e Event, d Deployment, n int) string {
	return fmt.Sprintf("%s-%s-%d", e.Name, d.ID, n)
}

// Operation returns one.
func (c *Console) Operation(ctx context.Context, a Actor, id string) (o Operation, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		if o, err = get[Operation](tx, id); err != nil {
			return err
		}
		_, err := c.event(tx, a, See, o.Event)
		return err
	})
	if err != nil {
		return Operation{}, err
	}
	return o, nil
}

// Operations returns those of an event, newest first.
func (c *Console) Operations(ctx context.Context, a Actor, event string) (all []Operation, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		e, err := c.event(tx, a, See, event)
		if err != nil {
			return err
		}
		all, err = list[Operation](tx, Query{Parent: e.ID})
		return err
	})
	slices.Reverse(all)
	return all, err
}
