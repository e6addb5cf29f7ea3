package console

import (
	"context"
	"maps"
	"slices"
	"time"

	"popup/internal/wire"
)

// An InstanceView is an instance with what is known of it by now.
type InstanceView struct {
	Instance   // without its TokenHash, Nonce and Key; in lists without its Report
	EventName  string
	EventTitle string
	Title      string // of its deployment
	App        string
	Health     string // one of the Health words
	Why        string // a sentence; may be empty
	// LastReport is the newest, with or without news; long texts in it are cut short, and
	// details of phases left out in lists. Nil: it never reported.
	LastReport *wire.Report
	LastHeard  time.Time // zero: never
	Hand       Handwork  // what a person is to do for it; not in lists
	// StartedFrom is the image that it is launched from, and Times how long instances of
	// its app take to be live; not in lists. Nil: its cloud's own choice.
	StartedFrom *StartsFrom
	Times       BootTimes
	History     []Sample // the last hour, oldest first, as far as this process counted it
}

// A Sample is what an instance counted within one minute.
type Sample struct {
	At               time.Time
	Requests, Errors int64
}

// view is what is shown of a member. f.mu is held.
func (f *fleet) view(m *member, now time.Time) InstanceView {
	e, d := f.events[m.Event], f.deployments[m.Deployment]
	v := InstanceView{Instance: m.Instance.shown(), EventName: e.Name, EventTitle: e.Title, Title: d.title, App: d.app,
		LastReport: m.last, LastHeard: m.heard, History: m.history.samples(now)}
	v.Commands = slices.Clone(m.Commands)
	v.Health, v.Why = f.health(m, now)
	return v
}

// Instance returns one, with all of its last report that had news.
func (c *Console) Instance(ctx context.Context, a Actor, id string) (InstanceView, error) {
	var i Instance
	var e Event
	var d Deployment
	err := c.store.View(ctx, func(tx Tx) (err error) {
		if i, e, err = c.instanceFor(tx, a, See, id); err != nil {
			return err
		}
		d, err = get[Deployment](tx, i.Deployment)
		return err
	})
	if err != nil {
		return InstanceView{}, err
	}
	if _, known := c.fleet.instance(id); !known { // it was made a moment ago
		if err := c.fleet.catchUp(ctx); err != nil {
			return InstanceView{}, err
		}
	}
	times := c.fleet.bootTimes(i.Cloud, string(d.App))
	c.fleet.mu.RLock()
	defer c.fleet.mu.RUnlock()
	m, known := c.fleet.members[id]
	if !known {
		return InstanceView{}, ErrNotFound // and it is gone again
	}
	v := c.fleet.view(m, c.now())
	v.Report, v.Hand, v.Times = i.Report, c.handwork(i, d, e), times
	if !i.Plain {
		v.StartedFrom = d.Image
	}
	if i.Report != nil && v.LastReport != nil && digestOf(*i.Report) == m.news && len(i.Report.Phases) == len(v.LastReport.Phases) {
		last := *v.LastReport
		last.Phases = slices.Clone(last.Phases)
		for k, p := range i.Report.Phases {
			last.Phases[k].Detail = p.Detail
		}
		v.LastReport = &last
	}
	return v, nil
}

// An InstanceConfig is what an instance is wanted to be.
type InstanceConfig struct {
	Instance string            `json:"instance"`
	Plan     wire.Plan         `json:"plan"`
	Settings map[string]string `json:"settings,omitempty"`
	Secrets  []string          `json:"secrets,omitempty"` // names
	Wanted   wire.Wanted       `json:"wanted"`
}

// InstanceConfig is what an instance is wanted to be: its plan, with settings, and with
// secrets and credentials by name only.
func (c *Console) InstanceConfig(ctx context.Context, a Actor, id string) (config InstanceConfig, err error) {
	err = c.store.View(ctx, func(tx Tx) error {
		i, _, err := c.instanceFor(tx, a, See, id)
		if err != nil {
			return err
		}
		d, err := get[Deployment](tx, i.Deployment)
		if err != nil {
			return err
		}
		config = InstanceConfig{Instance: i.ID, Plan: d.Plan, Settings: maps.Clone(d.Settings), Secrets: d.SecretNames, Wanted: i.Wanted}
		config.Plan.Console = c.toldConsole(i, "")
		return nil
	})
	config.Plan.Instance = config.Instance
	config.Plan.Settings = nil // they stand beside it
	return config, err
}
