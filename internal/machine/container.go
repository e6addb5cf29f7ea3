package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A State is what a machine is doing.
type State string

// The states of a machine. A machine that reboots is running throughout.
const (
	Running    State = "running"
	PoweredOff State = "powered off" // from inside, or by PowerOff
	Failed     State = "failed"      // it ended without being turned off
	Closed     State = "closed"
)

// The real-time signals by which systemd is told to end, counted from the first
// one a program may use.
const (
	signalPowerOff = unix.Signal(34 + 4)
	signalReboot   = unix.Signal(34 + 5)
	// signalEvery is how often they are sent again: a PID 1 that has not set up
	// its signals yet does not hear them.
	signalEvery = 2 * time.Second
)

// closeWait bounds how long Close waits for killed processes to be gone.
const closeWait = 15 * time.Second

// A ContainerConfig says what container to start.
type ContainerConfig struct {
	Image *Image // it stays the caller's
	Name  string // the host name and instance id: lower-case letters, digits and hyphens, at most 40
	// Link is the container's network; it stays the caller's. nil: one of its own.
	Link     *Link
	UserData []byte // what cloud-init is told
	MetaData []byte // empty: an instance id and a host name, both Name
	// Files are laid over the image before the first boot, by path, owned by root, mode 0644.
	Files map[string][]byte
	// Dir is an existing folder for what the container writes. It must not lie on
	// an overlay itself. Empty: one in the folder for temporary files.
	Dir string
	// Kept says that Dir stays when the container is closed, for one that goes on in it
	// as after a reboot: also where the program that had the container was killed. Name
	// is then that of no other machine here, and Link one with the same addresses.
	Kept bool
	// Console is given what the container prints on its console. It is written to
	// by one goroutine, until Close returns. nil: nobody.
	Console io.Writer
}

// A Container is a Debian of its own, systemd included, in namespaces of this
// machine: own processes, network, host name, files and control groups, but
// this machine's kernel and clock, and its root is this machine's root less the
// rights to load modules, set the clock and touch hardware. It ends with the
// program that started it. Its methods may be used from several goroutines.
type Container struct {
	cfg     ContainerConfig
	dir     string
	ownDir  bool
	ownLink bool
	cgroup  *cgroup
	ours    *os.File // the console
	guests  *os.File
	copied  chan struct{} // closed when the console is read no more
	done    chan struct{} // closed when init will not be started again

	mu      sync.Mutex
	init    *os.Process // nil when none runs
	boots   int
	booted  chan struct{} // closed and replaced at every boot
	state   State
	failure error
	closing bool
}

// StartContainer starts a container and returns when its first process runs,
// which is before it has booted. It needs root. Ctx bounds the start alone; the
// caller closes the container.
func StartContainer(ctx context.Context, cfg ContainerConfig) (*Container, error) {
	c := &Container{
		cfg: cfg, state: Running,
		copied: make(chan struct{}), done: make(chan struct{}), booted: make(chan struct{}),
	}
	if err := c.prepare(ctx); err != nil {
		close(c.copied)
		close(c.done)
		return nil, fmt.Errorf("start container %q: %w", cfg.Name, errors.Join(err, c.release()))
	}
	go c.copyConsole()
	started := make(chan error, 1)
	go c.supervise(started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start container %q: %w", cfg.Name, errors.Join(err, c.Close()))
	}
	return c, nil
}

// prepare makes everything the container stands on.
func (c *Container) prepare(ctx context.Context) (err error) {
	if err := checkName(c.cfg.Name); err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("it needs root, for namespaces and mounts: run as root, or use a virtual machine")
	}
	if len(c.cfg.MetaData) == 0 {
		c.cfg.MetaData = metaData(c.cfg.Name)
	}
	if c.cfg.Console == nil {
		c.cfg.Console = io.Discard
	}
	if c.cfg.Link == nil {
		if c.cfg.Link, err = NewLink(ctx); err != nil {
			return err
		}
		c.ownLink = true
	}
	if c.cfg.Dir == "" {
		if c.cfg.Dir, err = os.MkdirTemp("", "popup-container-"); err != nil {
			return fmt.Errorf("make its folder: %w", err)
		}
		c.ownDir = true
	}
	if c.dir, err = filepath.Abs(c.cfg.Dir); err != nil {
		return fmt.Errorf("find its folder: %w", err)
	}
	for _, dir := range layers {
		err := os.Mkdir(filepath.Join(c.dir, dir), 0o755)
		if err != nil && (!c.cfg.Kept || !errors.Is(err, fs.ErrExist)) {
			return fmt.Errorf("make its folder: %w", err)
		}
	}
	if c.cfg.Kept {
		if err := RemoveLeftovers(ctx, c.cfg.Name); err != nil {
			return err
		}
		c.cgroup, err = keptCgroup(c.cfg.Name)
	} else {
		c.cgroup, err = newCgroup()
	}
	if err != nil {
		return err
	}
	c.ours, c.guests, err = openTerminal()
	return err
}

// metaData is the least a seed can say.
func metaData(name string) []byte {
	return fmt.Appendf(nil, "instance-id: %s\nlocal-hostname: %s\n", name, name)
}

// HostAddr is this machine's address as the container sees it.
func (c *Container) HostAddr() netip.Addr { return c.cfg.Link.HostAddr() }

// Addr is the container's address. It answers once the container has booted.
func (c *Container) Addr() netip.Addr { return c.cfg.Link.Addr() }

// State says what the container is doing, and why it failed when it did.
func (c *Container) State() (State, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state, c.failure
}

// Boots counts how often the container was started: once, and once a reboot.
func (c *Container) Boots() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.boots
}

// Done is closed when the container has powered off, failed or been closed.
func (c *Container) Done() <-chan struct{} { return c.done }

// supervise starts init, and starts it again whenever it ended for a reboot. It
// stays on one thread throughout: init is killed when that thread ends.
func (c *Container) supervise(started chan<- error) {
	runtime.LockOSThread()
	defer close(c.done)
	for first := true; ; first = false {
		cmd, err := c.boot(first)
		if first {
			started <- err
		}
		if err != nil {
			if cmd != nil {
				err = errors.Join(err, cmd.Process.Kill(), cmd.Wait())
			}
			c.end(Failed, fmt.Errorf("boot: %w", err))
			return
		}
		state, err := cmd.Process.Wait()
		if err != nil {
			c.end(Failed, fmt.Errorf("wait for init: %w", err))
			return
		}
		// The kernel ends a namespace's init by these signals when reboot(2) was
		// called in it.
		status, _ := state.Sys().(syscall.WaitStatus)
		switch {
		case status.Signaled() && status.Signal() == unix.SIGHUP && !c.isClosing():
			continue
		case status.Signaled() && status.Signal() == unix.SIGINT:
			c.end(PoweredOff, nil)
		default:
			c.end(Failed, fmt.Errorf("init ended: %v", state))
		}
		return
	}
}

// boot starts init once.
func (c *Container) boot(first bool) (_ *exec.Cmd, err error) {
	if !first {
		c.setInit(nil)
		if err := c.cfg.Link.renew(); err != nil {
			return nil, err
		}
	}
	spec, err := c.spec(first)
	if err != nil {
		return nil, err
	}
	gate, told, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	report, reports, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, gate.Close(), told.Close())
	}
	defer func() { err = errors.Join(err, report.Close()) }()
	cmd := c.command(gate, reports)
	err = errors.Join(cmd.Start(), gate.Close(), reports.Close())
	if cmd.Process == nil {
		return nil, errors.Join(fmt.Errorf("start init: %w", err), told.Close())
	}
	// Init goes on when it has read all of this, which it never has when this
	// program ends first. What it reports is why it could not become init.
	err = errors.Join(err, spec.tell(told))
	text, readErr := io.ReadAll(io.LimitReader(report, maxReport))
	if err = errors.Join(err, readErr); err == nil && len(text) > 0 {
		err = errors.New(string(text))
	}
	if err == nil && !c.setInit(cmd.Process) {
		err = errors.New("it was closed")
	}
	return cmd, err
}

// command is this program again, as the first process of new namespaces.
func (c *Container) command(gate, reports *os.File) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe", verbInit)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.guests, c.guests, c.guests
	cmd.ExtraFiles = []*os.File{gate, c.cfg.Link.namespace, reports} // gateFD, netFD, reportFD
	cmd.Env = []string{}
	cmd.SysProcAttr = &unix.SysProcAttr{
		Cloneflags:  unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC,
		Pdeathsig:   unix.SIGKILL,
		Setsid:      true,
		UseCgroupFD: true,
		CgroupFD:    int(c.cgroup.dir.Fd()),
	}
	return cmd
}

// maxReport bounds what init may say about why it could not be.
const maxReport = 4 << 10

// setInit says which process is init. It is false when the container is being
// closed.
func (c *Container) setInit(p *os.Process) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.init = p
	if p == nil || c.closing {
		return !c.closing
	}
	c.boots++
	close(c.booted)
	c.booted = make(chan struct{})
	return true
}

func (c *Container) isClosing() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closing
}

// end says that init will not be started again.
func (c *Container) end(state State, failure error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.init = nil
	if c.closing {
		state, failure = Closed, nil
	}
	c.state, c.failure = state, failure
}

// copyConsole hands on what is printed until Close closes the terminal.
func (c *Container) copyConsole() {
	defer close(c.copied)
	buf := make([]byte, 4096)
	for {
		n, err := c.ours.Read(buf)
		if n > 0 {
			// Who does not take it misses it: the container must not wait for that.
			_, _ = c.cfg.Console.Write(buf[:n])
		}
		if err != nil {
			return
		}
	}
}
