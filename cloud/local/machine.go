package local

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"popup/console"
	"popup/internal/process"
	"popup/internal/wire"
)

// The names in the folder of an instance; the package comment says what they are.
const (
	recordName   = "machine.json"
	userDataName = "user-data"
	runName      = "processes"
	outputName   = "output"
	logName      = "log"
	tempName     = "tmp"
	rootName     = "root"
	configName   = rootName + "/etc/popup/config.yaml"
)

// A record is what a machine must still know when the console is started again.
type record struct {
	Instance   string    `json:"instance"`
	Event      string    `json:"event,omitempty"`
	Deployment string    `json:"deployment,omitempty"`
	App        string    `json:"app,omitempty"`
	Port       int       `json:"port"`
	Launched   time.Time `json:"launched"`
}

// How long is waited before what ended is started again: twice as long each time, and
// anew for what went well this long.
const (
	firstWait = time.Second
	mostWait  = time.Minute
	wellAfter = 2 * time.Minute
)

// A machine is an instance's folder and what runs in it.
type machine struct {
	record
	cloud *Cloud
	path  string // of its folder
	shown atomic.Pointer[console.Machine]

	mu      sync.Mutex // held while something is started or ended; guards what follows
	ending  bool       // nothing is started any more
	broken  error      // what keeps it from being started at all
	since   time.Time  // it was seen to run; zero: it was not, since it ended
	tries   int        // starts in a row that did not go well
	next    time.Time  // no start before
	journal journal
}

// adopt makes a machine of what a console before this one left in the folder name.
func (c *Cloud) adopt(name string) *machine {
	m := &machine{cloud: c, path: filepath.Join(c.opts.Dir, name)}
	text, err := c.dir.ReadFile(filepath.Join(name, recordName))
	if err == nil {
		err = json.Unmarshal(text, &m.record)
	}
	if err == nil && (m.Instance != name || m.Port < 1 || m.Port > 1<<16-1) {
		err = errors.New("it is of another instance")
	}
	if err == nil {
		err = wire.CheckInstance(name)
	}
	if err != nil {
		m.record = record{Instance: name}
		m.broken = fmt.Errorf("its %s cannot be read: %w; end it, and launch another", recordName, err)
	}
	m.show(console.MachinePending, "")
	return m
}

func (m *machine) at(name string) string { return filepath.Join(m.path, name) }

func (m *machine) address() string {
	return net.JoinHostPort(m.cloud.opts.Host, strconv.Itoa(m.Port))
}

// show is what the cloud says of the machine from now on.
func (m *machine) show(state console.MachineState, detail string) {
	s := &console.Machine{Instance: m.Instance, ID: m.path, State: state, Launched: m.Launched, Detail: detail}
	if m.Port != 0 {
		s.Address = "http://" + m.address()
	}
	if before := m.shown.Swap(s); before != nil && (before.State != state || before.Detail != detail) {
		m.cloud.opts.Log.Info("machine", "instance", m.Instance, "state", state, "why", detail)
	}
}

// What a machine's end is called, while popup still says so and once it does not run.
const (
	saysOver = "its end came; it answers with a page that says so"
	isOver   = "its end came"
)

// tend looks how the machine is, and starts it where it should run and does not: one
// whose popup was killed, as all are by a restart of this machine, would boot again.
func (m *machine) tend(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ending || ctx.Err() != nil {
		return
	}
	now := time.Now()
	pid, err := process.Detached(m.at(runName))
	over := m.journal.over(m.cloud.dir, filepath.Join(m.Instance, rootName))
	switch {
	case m.broken != nil:
		m.show(console.MachineStopped, m.broken.Error())
	case err != nil:
		m.show(console.MachinePending, fmt.Sprintf("it is not known whether it runs: %v", err))
	case pid != 0:
		if m.since.IsZero() {
			m.since = now
		}
		m.show(console.MachineRunning, map[bool]string{true: saysOver}[over])
	case over:
		m.show(console.MachineStopped, isOver)
	case !m.since.IsZero():
		m.ended(now)
	case !now.Before(m.next):
		m.start(ctx, now)
	}
}

// ended notes that popup ended though nobody asked for that.
func (m *machine) ended(now time.Time) {
	if now.Sub(m.since) >= wellAfter {
		m.tries = 0
	}
	m.since = time.Time{}
	m.fail(now, m.lastWords())
}

// fail has the machine started again later.
func (m *machine) fail(now time.Time, why string) {
	wait := min(firstWait<<min(m.tries, 10), mostWait)
	m.tries++
	m.next = now.Add(wait)
	m.show(console.MachinePending, fmt.Sprintf("popup ended: %s; it is started again within %s", why, wait))
}

// start starts popup up, which outlives the console.
func (m *machine) start(ctx context.Context, now time.Time) {
	if err := m.run(ctx); err != nil {
		m.fail(now, err.Error())
		return
	}
	m.since = now
	m.show(console.MachineRunning, "")
}

func (m *machine) run(ctx context.Context) error {
	// What the one before it left: a killed popup takes no child along.
	if _, err := process.EndOrphans(m.at(runName)); err != nil {
		return err
	}
	output, err := os.OpenFile(m.at(outputName), os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open its output: %w", err)
	}
	defer func() { _ = output.Close() }() // it is the program's to write
	return process.Detach(ctx, process.Spec{
		Name: "popup", Dir: m.path, RunDir: m.at(runName),
		Argv: []string{m.cloud.opts.Popup, "up", "--root", m.at(rootName), "--listen", m.address(), "--log", m.at(logName)},
		// As on any other machine: nothing of ours is in it, neither a home nor a key.
		Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8", "TMPDIR=" + m.at(tempName)},
	}, output)
}

// longestWords bounds what is shown of a program's last line, in bytes.
const longestWords = 500

// lastWords is the last line that popup said on its way out.
func (m *machine) lastWords() string {
	text, err := readTail(m.cloud.dir, filepath.Join(m.Instance, outputName), 8<<10)
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	last, ours := bytes.CutPrefix(lines[len(lines)-1], []byte("popup: "))
	if err != nil || !ours {
		return "it did not say why"
	}
	return strings.ToValidUTF8(string(last[:min(len(last), longestWords)]), "")
}

// readTail reads the last bytes of a file below dir that others may have written,
// nothing where it is no file.
func readTail(dir *os.Root, name string, most int64) (text []byte, err error) {
	f, err := dir.OpenFile(name, os.O_RDONLY|openNonblock, 0)
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
