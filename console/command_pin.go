package console

import (
	"context"
	"strings"
)

// Pins are what may be wanted of an instance by hand. Nil: as it is; empty: follow again.
type Pins struct {
	ServiceCommit *string `json:"service_commit,omitempty"`
	DataRevision  *string `json:"data_revision,omitempty"`
	ReadOnly      *bool   `json:"read_only,omitempty"`
}

// Pin changes what an instance is wanted to serve, or whether it refuses writes; it is
// told so with its next report. Its errors are Command's.
func (c *Console) Pin(ctx context.Context, a Actor, instance string, pin Pins) (InstanceView, error) {
	if err := pin.check(); err != nil {
		return InstanceView{}, err
	}
	err := c.change(ctx, a, Help, instance, func(tx Tx, e Event, i *Instance) error {
		pin.onto(&i.Pinned)
		i.want(e)
		return c.audit(tx, a, "pin", "instance/"+i.ID, pin.sentence())
	})
	if err != nil {
		return InstanceView{}, err
	}
	return c.Instance(ctx, a, instance)
}

func (p Pins) check() error {
	var w wrong
	for field, id := range map[string]*string{"service_commit": p.ServiceCommit, "data_revision": p.DataRevision} {
		if id != nil && *id != "" && !revisionForm.MatchString(*id) {
			w.add(field, "it is a commit or a revision: up to 128 letters, digits, dots, - and _; empty follows the newest again")
		}
	}
	if p.ServiceCommit == nil && p.DataRevision == nil && p.ReadOnly == nil {
		w.add("service_commit", "nothing is given; give a service_commit, a data_revision or read_only")
	}
	return w.err()
}

// onto lays what is given over what was.
func (p Pins) onto(was *Pins) {
	if p.ServiceCommit != nil {
		was.ServiceCommit = p.ServiceCommit
	}
	if p.DataRevision != nil {
		was.DataRevision = p.DataRevision
	}
	if p.ReadOnly != nil {
		was.ReadOnly = p.ReadOnly
	}
}

func (p Pins) sentence() string {
	var says []string
	for _, pin := range []struct {
		what string
		id   *string
	}{{"service", p.ServiceCommit}, {"data", p.DataRevision}} {
		switch {
		case pin.id == nil:
		case *pin.id == "":
			says = append(says, pin.what+" follows again")
		default:
			says = append(says, pin.what+" stays at "+*pin.id)
		}
	}
	if p.ReadOnly != nil && *p.ReadOnly {
		says = append(says, "writes are refused")
	} else if p.ReadOnly != nil {
		says = append(says, "writes are taken")
	}
	return strings.Join(says, ", ")
}
