// Package manual is a cloud whose machines a person starts and turns off: it keeps the
// user-data that one is to be started with, and what the person said. It knows nothing
// of the machines themselves; what they report is the console's affair. What it keeps is in
// the console's store, so that each of several consoles knows it.
package manual

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"popup/console"
	"popup/internal/wire"
)

// kind is of machines that a person starts.
const kind console.Kind = "manual-machine"

// A Cloud keeps what is to be pasted in a store. It implements console.Cloud and
// console.ByHand.
type Cloud struct{ store console.Store }

var (
	_ console.Cloud  = (*Cloud)(nil)
	_ console.ByHand = (*Cloud)(nil)
)

// New makes the cloud on a store, which somebody else closes.
func New(store console.Store) *Cloud { return &Cloud{store} }

// A kept is a machine in its record.
type kept struct {
	Instance string    `json:"instance"`
	UserData []byte    `json:"user_data"`
	Launched time.Time `json:"launched"`
	Pasted   time.Time `json:"pasted,omitzero"` // when its user-data was first handed out
	Off      time.Time `json:"off,omitzero"`    // when somebody said that it is turned off
}

// machine is what is known of it. Whose user-data nobody was told runs nowhere.
func (k kept) machine() console.Machine {
	m := console.Machine{Instance: k.Instance, ID: k.Instance, Launched: k.Launched, State: console.MachineRunning}
	switch {
	case !k.Off.IsZero():
		m.State, m.Detail = console.MachineStopped, "it was said to be turned off"
	case k.Pasted.IsZero():
		m.State, m.Detail = console.MachinePending, "start a machine with this user-data"
	}
	return m
}

// read returns console.ErrNotFound for what was never launched, and for what names nothing.
func read(tx console.Tx, instance string) (k kept, err error) {
	if wire.CheckInstance(instance) != nil {
		return k, console.ErrNotFound
	}
	r, err := tx.Get(kind, instance)
	if err != nil {
		return k, err
	}
	return k, decode(r, &k)
}

func decode(r console.Record, k *kept) error {
	if err := json.Unmarshal(r.Doc, k); err != nil || k.Instance != r.ID {
		return fmt.Errorf("read machine of %s: what the store keeps of it is not what was written there; restore a backup", r.ID)
	}
	return nil
}

func write(tx console.Tx, k kept) error {
	text, err := json.Marshal(k)
	if err == nil {
		err = tx.Put(console.Record{Kind: kind, ID: k.Instance, Doc: text})
	}
	if err != nil {
		return fmt.Errorf("write machine of %s: %w", k.Instance, err)
	}
	return nil
}

// Check implements console.Cloud: a person finds a machine.
func (c *Cloud) Check(ctx context.Context, _ console.Launch) error { return ctx.Err() }

// Launch implements console.Cloud.
func (c *Cloud) Launch(ctx context.Context, l console.Launch) (m console.Machine, err error) {
	if err := wire.CheckInstance(l.Instance); err != nil {
		return m, &console.RefusedError{Reason: err.Error()}
	}
	now := time.Now().UTC()
	err = c.store.Update(ctx, func(tx console.Tx) error {
		k, err := read(tx, l.Instance)
		if errors.Is(err, console.ErrNotFound) {
			k = kept{Instance: l.Instance, UserData: l.UserData, Launched: now}
			err = write(tx, k)
		}
		m = k.machine()
		return err
	})
	if err != nil {
		return console.Machine{}, err
	}
	return m, nil
}

// Machines implements console.Cloud.
func (c *Cloud) Machines(ctx context.Context) (all []console.Machine, err error) {
	err = c.store.View(ctx, func(tx console.Tx) error {
		all = nil
		for q := (console.Query{Kind: kind}); ; {
			page, err := tx.List(q)
			if err != nil || len(page) == 0 {
				return err
			}
			for _, r := range page {
				var k kept
				if err := decode(r, &k); err != nil {
					return err
				}
				all = append(all, k.machine())
			}
			q.After = &page[len(page)-1]
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	return all, nil
}

// Terminate implements console.Cloud. A machine that somebody may have started is gone
// once somebody said so.
func (c *Cloud) Terminate(ctx context.Context, instance string) error {
	return c.store.Update(ctx, func(tx console.Tx) error {
		k, err := read(tx, instance)
		switch {
		case errors.Is(err, console.ErrNotFound):
			return nil
		case err != nil:
			return err
		case k.Off.IsZero() && !k.Pasted.IsZero():
			return errors.New("only a person can turn it off: do so, and say on its page that it is turned off")
		}
		return tx.Delete(kind, instance)
	})
}

// Paste implements console.ByHand. From then on a machine may run.
func (c *Cloud) Paste(ctx context.Context, instance string) ([]byte, error) {
	now := time.Now().UTC()
	k, err := c.change(ctx, instance, func(k *kept) {
		if k.Pasted.IsZero() {
			k.Pasted = now
		}
	})
	return k.UserData, err
}

// Confirm implements console.ByHand.
func (c *Cloud) Confirm(ctx context.Context, instance string) error {
	now := time.Now().UTC()
	_, err := c.change(ctx, instance, func(k *kept) {
		if k.Off.IsZero() {
			k.Off = now
		}
	})
	if errors.Is(err, console.ErrNotFound) {
		return nil // it is gone
	}
	return err
}

// change has fn change a machine. Its error is console.ErrNotFound where there is none.
func (c *Cloud) change(ctx context.Context, instance string, fn func(*kept)) (k kept, err error) {
	err = c.store.Update(ctx, func(tx console.Tx) error {
		if k, err = read(tx, instance); err != nil {
			return err
		}
		fn(&k)
		return write(tx, k)
	})
	if err != nil {
		return kept{}, err
	}
	return k, nil
}
