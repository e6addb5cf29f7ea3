// Package kept is what clouds of this one machine have in common: a folder of machines,
// each of which is run by a program that outlives the console, and is looked after by
// the console that has the folder. What the machines are made of is a Kind's affair.
//
// It lays everything out so that a kill at any moment, of the console or of a program,
// loses no machine and doubles none:
//
//	DIR/.lock                   one console has the folder
//	DIR/.tmp-…                  what is being made or removed; swept
//	DIR/INSTANCE/machine.json   what was launched, and its port; there from the first moment on
//	DIR/INSTANCE/user-data      as it was given
//	DIR/INSTANCE/processes/     who runs, by number and start time
//	DIR/INSTANCE/output         what the program said before its log was open
//
// and beside them what the Kind puts there; what begins with a dot in DIR is the Kind's.
package kept

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
	"popup/internal/process"
)

// Options are what a cloud is opened with.
type Options struct {
	Dir   string      // where the machines are; it is made
	Mode  os.FileMode // of Dir, and of the folders of machines; 0: 0700
	Popup string      // the popup program; empty: the one that runs
	Host  string      // the address of this machine that machines are reached at; empty: 127.0.0.1
	// Grace is how long a program that is told to end by TERM has until it is killed; 0:
	// it is killed at once.
	Grace time.Duration
	Log   *slog.Logger
}

// Complete fills in what was left out.
func (o *Options) Complete() (err error) {
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
	o.Mode = cmp.Or(o.Mode, 0o700)
	o.Host = cmp.Or(o.Host, "127.0.0.1")
	if ip, err := netip.ParseAddr(o.Host); err != nil || ip.IsUnspecified() {
		return fmt.Errorf("instances cannot be reached at %q; give one IP address of this machine", o.Host)
	}
	return nil
}

// A Kind is what the machines of a cloud are. Its methods may be called from several goroutines.
type Kind interface {
	// Check joins everything that speaks against l, its user-data where there is some.
	// Nothing is started.
	Check(ctx context.Context, l console.Launch) error
	// Fill lays out what is its own in the folder of a new machine, and may complete the
	// machine's record.
	Fill(m *Machine, l console.Launch) error
	// Open returns what runs a machine that is laid out.
	Open(m Machine) Program
	// Clear removes what a machine has outside of its folder, which is at path now and may
	// be half made. Nothing of it runs any more.
	Clear(path string) error
}

// A Program runs one machine.
type Program interface {
	// Spec is how it is started. Its folders are the caller's.
	Spec() process.Spec
	// Look says how the machine is. pid is that of the running program; 0: it does not run.
	Look(pid int) Look
}

// A Look is how a machine is seen to be. Where its program does not run and it is not
// Over, the program is started again, and Detail says why it ended.
type Look struct {
	State  console.MachineState
	Detail string
	Over   bool // the machine is at its end
}

const (
	// LockName is the file that says which console has a folder.
	LockName = ".lock"
	// TempPrefix begins the names of what is not whole; no instance's id begins so.
	TempPrefix = ".tmp-"
	// lookEvery is how often it is looked whether the machines run.
	lookEvery = 500 * time.Millisecond
)

// A Cloud keeps machines on this one. It implements console.Cloud.
type Cloud struct {
	opts Options
	kind Kind
	dir  *os.Root
	lock *os.File

	stop    context.CancelFunc
	watched chan struct{}
	closing sync.Once

	making   sync.Mutex // held by the one launch or end at a time
	mu       sync.Mutex // guards what follows
	closed   bool
	machines map[string]*held
}

// Open takes the folder for this console, adopts the machines that run in it, and has
// the others started again. Until Close it is looked after them. Opts are complete. The
// error says so where another console has the folder.
func Open(opts Options, kind Kind) (c *Cloud, err error) {
	if err := os.MkdirAll(opts.Dir, opts.Mode); err != nil {
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
	c = &Cloud{opts: opts, kind: kind, dir: dir, lock: lock, watched: make(chan struct{}), machines: map[string]*held{}}
	if err := c.load(); err != nil {
		return nil, errors.Join(err, dir.Close(), lock.Close())
	}
	ctx, stop := context.WithCancel(context.Background())
	c.stop = stop
	go c.watch(ctx)
	return c, nil
}

// lockPatience is how long the lock is waited for: a console that was killed while it
// started a program leaves it for a moment to what was to become that program.
const lockPatience = time.Second

// claim takes the lock of the folder, which goes with the process.
func claim(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, LockName), os.O_CREATE|os.O_RDWR, 0o600)
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
		case strings.HasPrefix(e.Name(), TempPrefix):
			if err := c.discard(context.Background(), e.Name()); err != nil {
				c.opts.Log.Warn("sweep", "err", err)
			}
		case e.IsDir() && !strings.HasPrefix(e.Name(), "."): // those are the Kind's
			c.machines[e.Name()] = c.adopt(e.Name())
		}
	}
	return nil
}

// watch looks after the machines until ctx ends.
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
func (c *Cloud) all() []*held {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*held
	for _, m := range c.machines {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *held) int { return strings.Compare(a.Instance, b.Instance) })
	return all
}

// find returns nil where there is none.
func (c *Cloud) find(instance string) *held {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.machines[instance]
}

// Held are the machines that are there, in the order of their instances, and how each is.
func (c *Cloud) Held(ctx context.Context) ([]Machine, []console.Machine, error) {
	if err := c.ready(ctx); err != nil {
		return nil, nil, fmt.Errorf("list instances: %w", err)
	}
	var machines []Machine
	var shown []console.Machine
	for _, m := range c.all() {
		machines, shown = append(machines, m.Machine), append(shown, *m.shown.Load())
	}
	return machines, shown, nil
}

// Check implements console.Cloud.
func (c *Cloud) Check(ctx context.Context, l console.Launch) error {
	if err := c.ready(ctx); err != nil {
		return err
	}
	return c.kind.Check(ctx, l)
}

// Machines implements console.Cloud.
func (c *Cloud) Machines(ctx context.Context) ([]console.Machine, error) {
	_, shown, err := c.Held(ctx)
	return shown, err
}

// Close lets go of the folder; the machines go on. Closing twice is fine.
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
