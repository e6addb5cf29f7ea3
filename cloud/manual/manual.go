// Package manual is a cloud whose machines a person starts and turns off: it keeps the
// user-data that one is to be started with, and what the person said. It knows nothing
// of the machines themselves; what they report is the console's affair.
//
//	DIR/machine-INSTANCE.json   its user-data, and how far it is
package manual

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/wire"
)

// A Cloud keeps what is to be pasted in a folder. It implements console.Cloud and
// console.ByHand.
type Cloud struct {
	dir string
	mu  sync.Mutex // one change at a time
}

var (
	_ console.Cloud  = (*Cloud)(nil)
	_ console.ByHand = (*Cloud)(nil)
)

// Open opens the cloud in a folder, which is made. One console has a folder.
func Open(dir string) (*Cloud, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find folder of machines: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of machines: %w", err)
	}
	if err := atomicfile.Sweep(dir); err != nil {
		return nil, fmt.Errorf("sweep folder of machines: %w", err)
	}
	return &Cloud{dir: dir}, nil
}

// A kept is a machine in its file.
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

// The names of machines' files begin with something that no unfinished file begins with.
const (
	prefix = "machine-"
	suffix = ".json"
)

func (c *Cloud) path(instance string) string { return filepath.Join(c.dir, prefix+instance+suffix) }

// read returns fs.ErrNotExist for what was never launched, and for what names nothing.
func (c *Cloud) read(ctx context.Context, instance string) (k kept, err error) {
	if err := ctx.Err(); err != nil {
		return k, err
	}
	if wire.CheckInstance(instance) != nil {
		return k, fs.ErrNotExist
	}
	text, err := os.ReadFile(c.path(instance))
	if err != nil {
		return k, err
	}
	if err := json.Unmarshal(text, &k); err != nil || k.Instance != instance {
		return k, fmt.Errorf("read machine of %s: %s is not what was written there; put it back from a backup, or remove it once the machine is turned off", instance, c.path(instance))
	}
	return k, nil
}

func (c *Cloud) write(k kept) error {
	text, err := json.Marshal(k)
	if err == nil {
		err = atomicfile.Write(c.path(k.Instance), text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write machine of %s: %w", k.Instance, err)
	}
	return nil
}

// Check implements console.Cloud: a person finds a machine.
func (c *Cloud) Check(ctx context.Context, _ console.Launch) error { return ctx.Err() }

// Launch implements console.Cloud.
func (c *Cloud) Launch(ctx context.Context, l console.Launch) (console.Machine, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := wire.CheckInstance(l.Instance); err != nil {
		return console.Machine{}, &console.RefusedError{Reason: err.Error()}
	}
	k, err := c.read(ctx, l.Instance)
	if errors.Is(err, fs.ErrNotExist) {
		k = kept{Instance: l.Instance, UserData: l.UserData, Launched: time.Now().UTC()}
		err = c.write(k)
	}
	if err != nil {
		return console.Machine{}, err
	}
	return k.machine(), nil
}

// Machines implements console.Cloud.
func (c *Cloud) Machines(ctx context.Context) (all []console.Machine, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	entries, err := os.ReadDir(c.dir)
	if err = errors.Join(ctx.Err(), err); err != nil {
		return nil, fmt.Errorf("list machines: %w", err)
	}
	for _, e := range entries {
		instance, ours := strings.CutSuffix(e.Name(), suffix)
		instance, named := strings.CutPrefix(instance, prefix)
		if !ours || !named {
			continue
		}
		k, err := c.read(ctx, instance)
		if err != nil {
			return nil, err
		}
		all = append(all, k.machine())
	}
	return all, nil
}

// Terminate implements console.Cloud. A machine that somebody may have started is gone
// once somebody said so.
func (c *Cloud) Terminate(ctx context.Context, instance string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.read(ctx, instance)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case k.Off.IsZero() && !k.Pasted.IsZero():
		return errors.New("only a person can turn it off: do so, and say on its page that it is turned off")
	}
	return errors.Join(os.Remove(c.path(instance)), atomicfile.SyncDir(c.dir))
}

// Paste implements console.ByHand. From then on a machine may run.
func (c *Cloud) Paste(ctx context.Context, instance string) ([]byte, error) {
	k, err := c.change(ctx, instance, func(k *kept) {
		if k.Pasted.IsZero() {
			k.Pasted = time.Now().UTC()
		}
	})
	return k.UserData, err
}

// Confirm implements console.ByHand.
func (c *Cloud) Confirm(ctx context.Context, instance string) error {
	_, err := c.change(ctx, instance, func(k *kept) {
		if k.Off.IsZero() {
			k.Off = time.Now().UTC()
		}
	})
	if errors.Is(err, console.ErrNotFound) {
		return nil // it is gone
	}
	return err
}

// change has fn change a machine. Its error is console.ErrNotFound where there is none.
func (c *Cloud) change(ctx context.Context, instance string, fn func(*kept)) (kept, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	k, err := c.read(ctx, instance)
	if errors.Is(err, fs.ErrNotExist) {
		err = console.ErrNotFound
	}
	if err != nil {
		return kept{}, err
	}
	fn(&k)
	return k, c.write(k)
}
