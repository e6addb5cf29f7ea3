package kept

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"popup/console"
	"popup/internal/process"
	"popup/internal/wire"
)

// The names in the folder of a machine; the package comment says what they are.
const (
	RecordName   = "machine.json"
	UserDataName = "user-data"
	RunName      = "processes"
	OutputName   = "output"
)

// A Record is what a machine must still know when the console is started again.
type Record struct {
	Instance   string    `json:"instance"`
	ID         string    `json:"id,omitempty"` // the cloud's own name for it; empty: its folder
	Event      string    `json:"event,omitempty"`
	EventID    string    `json:"event_id,omitempty"`
	Deployment string    `json:"deployment,omitempty"`
	App        string    `json:"app,omitempty"`
	Port       int       `json:"port"`
	Launched   time.Time `json:"launched"`
	// Made is what its Kind wants to know of it.
	Made json.RawMessage `json:"made,omitempty"`
}

// A Machine is what is known of an instance's folder.
type Machine struct {
	Record
	Path    string // of its folder
	Address string // HOST:PORT of this machine; empty in what is not laid out yet
}

// At is the path of what has a name in the machine's folder.
func (m Machine) At(name string) string { return filepath.Join(m.Path, name) }

// How long is waited before what ended is started again: twice as long each time, and
// anew for what went well this long.
const (
	firstWait = time.Second
	mostWait  = time.Minute
	wellAfter = 2 * time.Minute
)

// A held machine is one that is looked after.
type held struct {
	Machine
	cloud   *Cloud
	program Program // nil: it is broken
	shown   atomic.Pointer[console.Machine]

	mu     sync.Mutex // held while something is started or ended; guards what follows
	ending bool       // nothing is started any more
	broken error      // what keeps it from being started at all
	since  time.Time  // it was seen to run; zero: it was not, since it ended
	tries  int        // starts in a row that did not go well
	next   time.Time  // no start before
}

// adopt holds what a console before this one left in the folder name.
func (c *Cloud) adopt(name string) *held {
	m := &held{cloud: c, Machine: Machine{Path: filepath.Join(c.opts.Dir, name)}}
	text, err := c.dir.ReadFile(filepath.Join(name, RecordName))
	if err == nil {
		err = json.Unmarshal(text, &m.Record)
	}
	if err == nil && (m.Instance != name || m.Port < 1 || m.Port > 1<<16-1) {
		err = errors.New("it is of another instance")
	}
	if err == nil {
		err = wire.CheckInstance(name)
	}
	if err != nil {
		m.Record = Record{Instance: name}
		m.broken = fmt.Errorf("its %s cannot be read: %w; end it, and launch another", RecordName, err)
	} else {
		m.Address = net.JoinHostPort(c.opts.Host, strconv.Itoa(m.Port))
		m.program = c.kind.Open(m.Machine)
	}
	m.show(console.MachinePending, "")
	return m
}

// show is what the cloud says of the machine from now on.
func (m *held) show(state console.MachineState, detail string) {
	s := &console.Machine{Instance: m.Instance, ID: cmp.Or(m.ID, m.Path), State: state, Launched: m.Launched, Detail: detail}
	if m.Address != "" {
		s.Address = "http://" + m.Address
	}
	if before := m.shown.Swap(s); before != nil && (before.State != state || before.Detail != detail) {
		m.cloud.opts.Log.Info("machine", "instance", m.Instance, "state", state, "why", detail)
	}
}

// tend looks how the machine is, and starts it where it should run and does not: one
// whose program was killed, as all are by a restart of this machine, would boot again.
func (m *held) tend(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ending || ctx.Err() != nil {
		return
	}
	if m.broken != nil {
		m.show(console.MachineStopped, m.broken.Error())
		return
	}
	now := time.Now()
	pid, err := process.Detached(m.At(RunName))
	if err != nil {
		m.show(console.MachinePending, fmt.Sprintf("it is not known whether it runs: %v", err))
		return
	}
	look := m.program.Look(pid)
	switch {
	case pid != 0:
		if m.since.IsZero() {
			m.since = now
		}
		m.show(look.State, look.Detail)
	case look.Over:
		m.show(console.MachineStopped, look.Detail)
	case !m.since.IsZero():
		m.ended(now, look.Detail)
	case !now.Before(m.next):
		m.start(ctx, now)
	}
}

// ended notes that the program ended though nobody asked for that.
func (m *held) ended(now time.Time, why string) {
	if now.Sub(m.since) >= wellAfter {
		m.tries = 0
	}
	m.since = time.Time{}
	m.fail(now, why)
}

// fail has the machine started again later.
func (m *held) fail(now time.Time, why string) {
	wait := min(firstWait<<min(m.tries, 10), mostWait)
	m.tries++
	m.next = now.Add(wait)
	m.show(console.MachinePending, fmt.Sprintf("%s; it is started again within %s", why, wait))
}

// start starts the program, which outlives the console.
func (m *held) start(ctx context.Context, now time.Time) {
	if err := m.run(ctx); err != nil {
		m.fail(now, err.Error())
		return
	}
	m.since = now
	pid, err := process.Detached(m.At(RunName))
	if err != nil || pid == 0 {
		return // the next look tells
	}
	look := m.program.Look(pid)
	m.show(look.State, look.Detail)
}

func (m *held) run(ctx context.Context) error {
	// What the one before it left: a killed program takes no child along.
	if _, err := process.EndOrphans(m.At(RunName)); err != nil {
		return err
	}
	output, err := os.OpenFile(m.At(OutputName), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open its output: %w", err)
	}
	defer func() { _ = output.Close() }() // it is the program's to write
	spec := m.program.Spec()
	spec.Dir, spec.RunDir = m.Path, m.At(RunName)
	return process.Detach(ctx, spec, output)
}

// ReadTail reads the last bytes of a file below dir that others may have written, and
// nothing where it is no file. A link in it leads nowhere else.
func ReadTail(dir, name string, most int64) (text []byte, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }()                              // only read
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // what is no file is not waited for
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil, err
	}
	return io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-most), most))
}
