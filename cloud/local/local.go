// Package local is a cloud of plain processes: each of its machines is a popup up on
// this one, with a root and a port of its own, started from the same user-data that
// any other cloud would be given.
//
// It lays everything out so that a kill at any moment, of the console or of an
// instance, loses none and doubles none:
//
//	DIR/.lock                        one console has the folder
//	DIR/.tmp-…                       what is being made or removed; swept
//	DIR/INSTANCE/machine.json        what was launched, and its port; there from the first moment on
//	DIR/INSTANCE/user-data           as it was given; only read, never run
//	DIR/INSTANCE/processes/          who runs, by number and start time
//	DIR/INSTANCE/output, log, log.1  what popup said before its log was open, and since
//	DIR/INSTANCE/root/               popup's
//
// What an app is made and run by is confined as on any machine. The popup that
// fetches for it is not: it is our own program, and runs as the console's user.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"popup/console"
	"popup/internal/sandbox"
)

// Options are what the cloud is opened with.
type Options struct {
	// Dir is where the instances are; it is made. Where the console is root, apps have a
	// user of their own, who must be able to enter Dir and all folders above it.
	Dir   string
	Popup string // the popup program; empty: the one that runs
	Host  string // the address of this machine that apps listen on; empty: 127.0.0.1
	// AllowUnconfined launches strangers' apps also where nothing confines them.
	AllowUnconfined bool
	Log             *slog.Logger
}

// complete fills in what was left out.
func (o *Options) complete() (err error) {
	if o.Dir, err = filepath.Abs(o.Dir); err != nil {
		return fmt.Errorf("find folder of instances: %w", err)
	}
	if o.Popup == "" {
		if o.Popup, err = os.Executable(); err != nil {
			return fmt.Errorf("find popup itself: %w", err)
		}
	}
	if o.Popup, err = filepath.Abs(o.Popup); err != nil {
		return fmt.Errorf("find popup: %w", err)
	}
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	if ip, err := netip.ParseAddr(o.Host); err != nil || ip.IsUnspecified() {
		return fmt.Errorf("instances cannot be reached at %q; give one IP address of this machine", o.Host)
	}
	return nil
}

const (
	lockName = ".lock"
	// tempPrefix begins the names of what is not whole; no instance's id begins so.
	tempPrefix = ".tmp-"
	// lookEvery is how often it is looked whether the instances run.
	lookEvery = 500 * time.Millisecond
)

// A Cloud keeps instances on this machine. It implements console.Cloud.
type Cloud struct {
	opts     Options
	dir      *os.Root
	lock     *os.File
	confines bool // the kernel can confine an app

	stop    context.CancelFunc
	watched chan struct{}
	closing sync.Once

	making   sync.Mutex // held by the one launch or end at a time
	mu       sync.Mutex // guards what follows
	closed   bool
	machines map[string]*machine
}

// Open takes the folder for this console, adopts the instances that run in it, and
// has the others started again. Until Close it is looked after them. The error says
// so where another console has the folder.
func Open(opts Options) (c *Cloud, err error) {
	if err := opts.complete(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, folderMode()); err != nil {
		return nil, fmt.Errorf("make folder of instances: %w", err)
	}
	lock, err := claim(opts.Dir)
	if err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(opts.Dir)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open folder of instances: %w", err), lock.Close())
	}
	c = &Cloud{opts: opts, dir: dir, lock: lock, confines: sandbox.LandlockABI() > 0,
		watched: make(chan struct{}), machines: map[string]*machine{}}
	if err := c.load(); err != nil {
		return nil, errors.Join(err, dir.Close(), lock.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.watch(ctx)
	return c, nil
}

// folderMode lets an app's own user, where it has one, pass to what is below.
func folderMode() os.FileMode {
	if os.Geteuid() == 0 {
		return 0o711
	}
	return 0o700
}

// lockPatience is how long the lock is waited for: a console that was killed while it
// started a program leaves it for a moment to what was to become that program.
const lockPatience = time.Second

// claim takes the lock of the folder, which goes with the process.
func claim(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of instances: %w", err)
	}
	tick, deadline := time.NewTicker(10*time.Millisecond), time.Now().Add(lockPatience)
	defer tick.Stop()
	for {
		err = syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(deadline) {
			break
		}
		<-tick.C
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = errors.New("another console has these instances; stop that one, or choose another folder")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", dir, err), lock.Close())
	}
	return lock, nil
}

// load finds what was launched before, and removes what was not launched or is gone.
func (c *Cloud) load() error {
	entries, err := os.ReadDir(c.opts.Dir)
	if err != nil {
		return fmt.Errorf("look for instances: %w", err)
	}
	for _, e := range entries {
		switch {
		case strings.HasPrefix(e.Name(), tempPrefix):
			if err := c.discard(e.Name()); err != nil {
				c.opts.Log.Warn("sweep", "err", err)
			}
		case e.IsDir():
			c.machines[e.Name()] = c.adopt(e.Name())
		}
	}
	return nil
}

// watch looks after the instances until ctx ends.
func (c *Cloud) watch(ctx context.Context) {
	defer close(c.watched)
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		for _, m := range c.all() {
			m.tend(ctx)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// errClosed is of a cloud that was closed.
var errClosed = errors.New("this cloud was closed")

// ready says whether something may be asked.
func (c *Cloud) ready(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosed
	}
	return ctx.Err()
}

// all are the machines, in the order of their ids.
func (c *Cloud) all() []*machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*machine
	for _, m := range c.machines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *machine) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}

// find returns nil where there is none.
func (c *Cloud) find(instance string) *machine {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machines[instance]
}

// Machines implements console.Cloud.
func (c *Cloud) Machines(ctx context.Context) ([]console.Machine, error) {
	if err := c.ready(ctx); err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	var machines []console.Machine
	for _, m := range c.all() {
		machines = append(machines, *m.shown.Load())
	}
	return machines, nil
}

// Close lets go of the folder; the instances go on. Closing twice is fine.
func (c *Cloud) Close() error {
	var err error
	c.closing.Do(func() {
		c.making.Lock() // what is under way comes to its end
		defer c.making.Unlock()
		c.mu.Lock()
		c.closed = true
		c.mu.Unlock()
		c.stop()
		<-c.watched
		err = errors.Join(c.dir.Close(), c.lock.Close())
	})
	return err
}
