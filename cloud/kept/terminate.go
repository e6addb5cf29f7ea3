package kept

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

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
	if err := c.terminate(ctx, instance); err != nil {
		return fmt.Errorf("end %s: %w", instance, err)
	}
	return nil
}

func (c *Cloud) terminate(ctx context.Context, instance string) error {
	gone := TempPrefix + "gone-" + instance
	if m := c.find(instance); m != nil {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.ending = true
		if err := c.kill(ctx, instance); err != nil {
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
	return c.discard(ctx, gone) // also what a try before this one could not remove
}

// kill ends what runs in the folder name: the program, which starts what it finds dead,
// and then what it started; and removes what it had elsewhere.
func (c *Cloud) kill(ctx context.Context, name string) error {
	path := filepath.Join(c.opts.Dir, name)
	runs := filepath.Join(path, RunName)
	if c.opts.Grace > 0 {
		if err := process.AskDetached(ctx, runs, c.opts.Grace); err != nil {
			return err
		}
	}
	if _, err := process.EndOrphans(runs); err != nil {
		return err
	}
	return c.kind.Clear(path)
}

// discard removes the folder name and everything that belongs to it. It is fine that
// there is none.
func (c *Cloud) discard(ctx context.Context, name string) error {
	if _, err := c.dir.Lstat(name); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err := c.kill(ctx, name); err != nil {
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
