package local

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"popup/console"
	"popup/internal/process"
	"popup/internal/wire"
)

// Terminate implements console.Cloud. The machine is killed, as a cloud pulls the
// plug: what is precious of it was saved before.
func (c *Cloud) Terminate(ctx context.Context, instance string) error {
	c.making.Lock()
	defer c.making.Unlock()
	if err := c.ready(ctx); err != nil {
		return fmt.Errorf("end %q: %w", instance, err)
	}
	if wire.CheckInstance(instance) != nil {
		return nil // nothing can have been launched by that id
	}
	if err := c.terminate(instance); err != nil {
		return fmt.Errorf("end %s: %w", instance, err)
	}
	return nil
}

func (c *Cloud) terminate(instance string) error {
	gone := tempPrefix + "gone-" + instance
	if m := c.find(instance); m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ending = true
		if err := c.kill(instance); err != nil {
			m.show(console.MachineStopped, fmt.Sprintf("it is being ended, and not all of it does: %v", err))
			return err
		}
		if err := c.dir.Rename(instance, gone); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		c.mu.Lock()
		delete(c.machines, instance)
		c.mu.Unlock()
	}
	return c.discard(gone) // also what a try before this one could not remove
}

// kill ends all that runs in the folder name: popup first, which starts what it finds
// dead, and then what it started.
func (c *Cloud) kill(name string) error {
	for _, records := range []string{runName, filepath.Join(rootName, "run/popup/processes")} {
		if _, err := process.EndOrphans(filepath.Join(c.opts.Dir, name, records)); err != nil {
			return err
		}
	}
	return nil
}

// discard removes the folder name and everything that belongs to it. It is fine that
// there is none.
func (c *Cloud) discard(name string) error {
	if _, err := c.dir.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := errors.Join(c.kill(name), c.removeSockets(name)); err != nil {
		return err
	}
	unlock(c.dir, name)
	if err := c.dir.RemoveAll(name); err != nil {
		return fmt.Errorf("remove folder: %w", err)
	}
	return nil
}

// unlock lets us remove what is in folders that are closed to writing, as published
// ones are, or that an app closed. What it cannot, RemoveAll tells of.
func unlock(dir *os.Root, name string) {
	if dir.Chmod(name, 0o700) != nil {
		return
	}
	f, err := dir.Open(name)
	if err != nil {
		return
	}
	entries, _ := f.ReadDir(-1)
	_ = f.Close() // only read
	for _, e := range entries {
		if e.IsDir() {
			unlock(dir, filepath.Join(name, e.Name()))
		}
	}
}

// socketsPrefix begins the name of a folder for sockets that popup makes elsewhere,
// where the path of its root is too long for their addresses.
const socketsPrefix = "popup-s-"

// removeSockets removes that folder where popup was killed and could not.
func (c *Cloud) removeSockets(name string) error {
	text, err := readTail(c.dir, filepath.Join(name, rootName, filepath.Dir(journalName), "facts.json"), 1<<20)
	if err != nil {
		return nil // there is no such instance yet
	}
	var facts struct {
		Sockets string `json:"sockets"`
	}
	if json.Unmarshal(text, &facts) != nil || !strings.HasPrefix(filepath.Base(facts.Sockets), socketsPrefix) {
		return nil
	}
	info, err := os.Lstat(facts.Sockets)
	if err != nil || !info.IsDir() {
		return nil
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); !ok || int(owner.Uid) != os.Geteuid() {
		return nil // it is somebody else's by now
	}
	if err := os.RemoveAll(facts.Sockets); err != nil {
		return fmt.Errorf("remove its sockets: %w", err)
	}
	return nil
}
