package kept

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"popup/console"
	"popup/internal/atomicfile"
	"popup/internal/wire"
)

// Launch implements console.Cloud. The machine is there, with its record, from one
// rename on; what happens before leaves nothing, and what comes after is done again
// by whoever looks after it next. It refuses what Check refuses.
func (c *Cloud) Launch(ctx context.Context, l console.Launch) (console.Machine, error) {
	m, err := c.launch(ctx, l)
	if err != nil {
		return console.Machine{}, fmt.Errorf("launch %q here: %w", l.Instance, err)
	}
	return *m.shown.Load(), nil
}

func (c *Cloud) launch(ctx context.Context, l console.Launch) (*held, error) {
	c.making.Lock()
	defer c.making.Unlock()
	if err := c.ready(ctx); err != nil {
		return nil, err
	}
	if err := wire.CheckInstance(l.Instance); err != nil {
		return nil, err
	}
	if m := c.find(l.Instance); m != nil {
		return m, nil
	}
	if err := c.kind.Check(ctx, l); err != nil {
		return nil, err
	}
	m, err := c.make(l)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.machines[l.Instance] = m
	c.mu.Unlock()
	m.tend(context.WithoutCancel(ctx)) // it is there now, whoever waits
	return m, nil
}

// make lays the machine's folder out aside, and gives it its name.
func (c *Cloud) make(l console.Launch) (*held, error) {
	port, err := c.freePort()
	if err != nil {
		return nil, err
	}
	temp := TempPrefix + "new-" + l.Instance
	if err := c.discard(context.Background(), temp); err != nil {
		return nil, err
	}
	m := Machine{Path: filepath.Join(c.opts.Dir, temp), Record: Record{
		Instance: l.Instance, Event: l.Event, EventID: l.EventID, Deployment: l.Deployment, App: l.App, Port: port, Launched: time.Now().UTC(),
	}}
	err = c.fill(&m, l)
	if err == nil {
		err = c.dir.Rename(temp, l.Instance)
	}
	if err != nil {
		return nil, errors.Join(explainFull(err, c.opts.Dir), c.discard(context.Background(), temp))
	}
	if err := atomicfile.SyncDir(c.opts.Dir); err != nil {
		return nil, err // a folder that is there after all is found by whoever asks again
	}
	return c.adopt(l.Instance), nil
}

// fill makes the folder of a machine with its files, which only we may read, on disk.
func (c *Cloud) fill(m *Machine, l console.Launch) error {
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{{"", c.opts.Mode}, {RunName, 0o700}} {
		if err := os.Mkdir(m.At(d.name), d.mode); err != nil {
			return err
		}
	}
	if err := c.kind.Fill(m, l); err != nil {
		return err
	}
	known, err := json.MarshalIndent(m.Record, "", "  ")
	if err != nil {
		return fmt.Errorf("write its record: %w", err)
	}
	for file, content := range map[string][]byte{UserDataName: l.UserData, RecordName: append(known, '\n')} {
		if err := atomicfile.Write(m.At(file), content, 0o600); err != nil {
			return err
		}
	}
	return atomicfile.SyncFS(m.Path) // the folders, too
}

// explainFull says what to try where the disk is full.
func explainFull(err error, dir string) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("%w; end instances that are over, or free space on the disk of %s", err, dir)
	}
	return err
}

// portTries bounds the search for a port that no instance has which is down just now.
const portTries = 100

// freePort is a port that nobody listens on and no other instance has.
func (c *Cloud) freePort() (int, error) {
	taken := map[int]bool{}
	for _, m := range c.all() {
		taken[m.Port] = true
	}
	for range portTries {
		listener, err := net.Listen("tcp", net.JoinHostPort(c.opts.Host, "0"))
		if err != nil {
			return 0, fmt.Errorf("find a free port: %w; look whether %s is an address of this machine", err, c.opts.Host)
		}
		_, text, err := net.SplitHostPort(listener.Addr().String())
		if err := errors.Join(err, listener.Close()); err != nil {
			return 0, fmt.Errorf("find a free port: %w", err)
		}
		port, err := strconv.Atoi(text)
		if err == nil && !taken[port] {
			return port, nil
		}
	}
	return 0, errors.New("there is no free port; end instances that are over")
}
