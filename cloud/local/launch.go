package local

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
	"popup/userdata"
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

func (c *Cloud) launch(ctx context.Context, l console.Launch) (*machine, error) {
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
	if err := c.checkMachine(l); err != nil {
		return nil, err
	}
	plan, err := c.plan(l)
	if err != nil {
		return nil, err
	}
	m, err := c.make(l, plan)
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
func (c *Cloud) make(l console.Launch, plan wire.Plan) (m *machine, err error) {
	config, err := userdata.EncodePlan(plan)
	if err != nil {
		return nil, err
	}
	r := record{Instance: l.Instance, Event: l.Event, Deployment: l.Deployment, App: l.App, Launched: time.Now().UTC()}
	if r.Port, err = c.freePort(); err != nil {
		return nil, err
	}
	known, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write its record: %w", err)
	}
	temp := tempPrefix + "new-" + l.Instance
	if err := c.discard(temp); err != nil {
		return nil, err
	}
	err = c.fill(temp, map[string][]byte{configName: config, userDataName: l.UserData, recordName: append(known, '\n')})
	if err == nil {
		err = c.dir.Rename(temp, l.Instance)
	}
	if err != nil {
		return nil, errors.Join(explainFull(err, c.opts.Dir), c.discard(temp))
	}
	if err := atomicfile.SyncDir(c.opts.Dir); err != nil {
		return nil, err // a folder that is there after all is found by whoever asks again
	}
	return c.adopt(l.Instance), nil
}

// fill makes the folder of a machine with its files, which only we may read, on disk.
func (c *Cloud) fill(name string, files map[string][]byte) error {
	path := filepath.Join(c.opts.Dir, name)
	for _, d := range []struct {
		name string
		mode os.FileMode
	}{
		{"", folderMode()}, {rootName, folderMode()}, {tempName, folderMode()}, {runName, 0o700},
		{filepath.Dir(filepath.Dir(configName)), folderMode()}, {filepath.Dir(configName), 0o700},
	} {
		if err := os.Mkdir(filepath.Join(path, d.name), d.mode); err != nil {
			return err
		}
	}
	for file, content := range files {
		if err := atomicfile.Write(filepath.Join(path, file), content, 0o600); err != nil {
			return err
		}
	}
	return atomicfile.SyncFS(path) // the folders, too
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
