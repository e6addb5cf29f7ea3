package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// This machine's loopback as a virtual machine sees it: what listens on
// 127.0.0.1 here is reached there.
const (
	HostFromNoCloud = "10.0.2.2"
	HostFromEC2     = "169.254.169.2"
)

// An address in the network of a virtual machine that is nobody's: for Sockets.
const (
	FreeFromNoCloud = "10.0.2.100"
	FreeFromEC2     = "169.254.169.100"
)

// The other addresses of a network that looks like EC2's.
const (
	ec2Guest    = "169.254.169.15"
	ec2Metadata = "169.254.169.254"
)

// A VMConfig says what virtual machine to start.
type VMConfig struct {
	Image *Image // built with a kernel; it stays the caller's
	Name  string // the host name and instance id: lower-case letters, digits and hyphens, at most 40
	// UserData and MetaData are the NoCloud seed of a machine that is not on EC2.
	UserData []byte
	MetaData []byte // empty: an instance id and a host name, both Name
	// EC2 is the metadata service of a machine that finds itself on EC2, which is
	// then all it is told. nil: a NoCloud seed on a disk.
	EC2 *IMDS
	// Forward are the machine's TCP ports that are reached from here; see Addr.
	Forward []int
	// ForwardFrom are those that are reached at a certain address of this machine.
	ForwardFrom map[int]netip.AddrPort
	// Sockets are unix sockets of this machine, by the address HOST:PORT in its network
	// at which the virtual one reaches them.
	Sockets map[string]string
	Memory  int   // MiB; 0: 1024
	CPUs    int   // 0: 2
	Disk    int64 // how large its disk is, in bytes; 0, or less than the image's: as that
	// Volumes are disks besides, which are the caller's.
	Volumes []Volume
	// Dir is an existing folder for the machine's disk. Empty: one in the folder
	// for temporary files.
	Dir string
	// Kept says that the disk stays in Dir when the machine is closed, and that one which
	// is there is gone on with.
	Kept bool
	// Run is an existing folder for sockets, with a short path. Empty: one in the folder
	// for temporary files.
	Run string
	// Console is given what the machine prints on its serial console. It is
	// written to by one goroutine, until Close returns. nil: nobody.
	Console io.Writer
}

// A VM is a virtual machine under QEMU: its own kernel, memory, disk and DHCP.
// It ends with the program that started it. Its methods may be used from
// several goroutines.
type VM struct {
	cfg      VMConfig
	dir      string // the disks
	ownDir   bool
	run      string // the socket of the metadata service, and turns of pipes; its path is short
	forward  map[int]netip.AddrPort
	plugging sync.Mutex
	plugged  map[string]bool // the serials of volumes; guarded by plugging
	accel    string
	imds     *http.Server
	imdsDone chan struct{}
	control  *qmp
	done     chan struct{}
	kill     func()

	mu      sync.Mutex
	reset   chan struct{} // closed and replaced at every reset
	turned  bool          // the guest turned itself off
	closing bool
	state   State
	failure error
}

// StartVM starts a virtual machine and returns when its processors run. It uses
// KVM where a trial boot showed that it works, and else emulates the processor.
// Ctx bounds the start alone; the caller closes the machine.
func StartVM(ctx context.Context, cfg VMConfig) (*VM, error) {
	v := &VM{
		cfg: cfg, state: Running, forward: map[int]netip.AddrPort{}, plugged: map[string]bool{},
		done: make(chan struct{}), reset: make(chan struct{}),
	}
	err := v.prepare(ctx)
	if err == nil {
		err = v.launch(ctx)
	}
	if err != nil {
		if v.kill == nil {
			close(v.done)
		}
		return nil, fmt.Errorf("start virtual machine %q: %w", cfg.Name, errors.Join(err, v.Close()))
	}
	return v, nil
}

// prepare makes the disks, and serves the metadata.
func (v *VM) prepare(ctx context.Context) (err error) {
	if err := checkName(v.cfg.Name); err != nil {
		return err
	}
	if _, err := os.Stat(v.cfg.Image.Disk()); err != nil {
		return errors.New("the image has no disk: build it with a kernel")
	}
	for _, vol := range v.cfg.Volumes {
		if err := vol.check(); err != nil {
			return err
		}
		v.plugged[vol.Serial] = true
	}
	v.cfg.Memory, v.cfg.CPUs = orDefault(v.cfg.Memory, 1024), orDefault(v.cfg.CPUs, 2)
	if v.cfg.Console == nil {
		v.cfg.Console = io.Discard
	}
	if v.cfg.Dir == "" {
		if v.cfg.Dir, err = os.MkdirTemp("", "popup-vm-"); err != nil {
			return fmt.Errorf("make its folder: %w", err)
		}
		v.ownDir = true
	}
	if v.dir, err = filepath.Abs(v.cfg.Dir); err != nil {
		return fmt.Errorf("find its folder: %w", err)
	}
	if _, err := os.Stat(v.disk()); err != nil || !v.cfg.Kept {
		if err := makeOverlay(ctx, v.cfg.Image.Disk(), v.disk(), v.cfg.Disk); err != nil {
			return err
		}
	}
	v.accel = accelerator(ctx, v.cfg.Image)
	if v.run = v.cfg.Run; v.run == "" {
		if v.run, err = os.MkdirTemp("", "popup-vm-"); err != nil {
			return fmt.Errorf("make a folder for its sockets: %w", err)
		}
	}
	if v.cfg.EC2 != nil {
		return v.serveMetadata()
	}
	if len(v.cfg.MetaData) == 0 {
		v.cfg.MetaData = metaData(v.cfg.Name)
	}
	return writeFile(v.seed(), func(w io.Writer) error {
		return NoCloudISO(w, v.cfg.UserData, v.cfg.MetaData, nil)
	})
}

func orDefault(n, otherwise int) int {
	if n == 0 {
		return otherwise
	}
	return n
}

// DiskName is the name, in its folder, of what a machine changed of the image's disk.
const DiskName = "disk.qcow2"

func (v *VM) disk() string { return filepath.Join(v.dir, DiskName) }

func (v *VM) seed() string { return filepath.Join(v.dir, "seed.iso") }

func (v *VM) metadataSocket() string { return filepath.Join(v.run, "imds") }

// serveMetadata answers on a socket that only this machine's root, and QEMU,
// can reach.
func (v *VM) serveMetadata() (err error) {
	listener, err := net.Listen("unix", v.metadataSocket())
	if err != nil {
		return fmt.Errorf("serve metadata: %w", err)
	}
	v.imds = &http.Server{Handler: v.cfg.EC2, ReadHeaderTimeout: 10 * time.Second}
	v.imdsDone = make(chan struct{})
	go func() {
		defer close(v.imdsDone)
		_ = v.imds.Serve(listener) // ErrServerClosed, by Close
	}()
	return nil
}

// Addr is where this machine reaches a port of the virtual one that was named
// in Forward; the zero AddrPort for any other port.
func (v *VM) Addr(port int) netip.AddrPort { return v.forward[port] }

// State says what the machine is doing, and why it failed when it did.
func (v *VM) State() (State, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.state, v.failure
}

// Done is closed when the machine has powered off, failed or been closed.
func (v *VM) Done() <-chan struct{} { return v.done }

// Accelerated says whether the machine runs on the processor itself. One that
// does not takes a minute or more to boot.
func (v *VM) Accelerated() bool { return v.accel == accelKVM }

// Reset starts the machine afresh without a word to it, as its reset button
// would, and returns when it was. Its disk stays.
func (v *VM) Reset(ctx context.Context) error {
	v.mu.Lock()
	reset := v.reset
	v.mu.Unlock()
	if err := v.control.do(ctx, "system_reset", nil); err != nil {
		return fmt.Errorf("reset virtual machine %s: %w", v.cfg.Name, err)
	}
	select {
	case <-reset:
		return nil
	case <-v.done:
		return fmt.Errorf("reset virtual machine %s: it has ended", v.cfg.Name)
	case <-ctx.Done():
		return fmt.Errorf("reset virtual machine %s: %w", v.cfg.Name, ctx.Err())
	}
}

// PowerOff presses the machine's power button, and returns when it has turned
// itself off.
func (v *VM) PowerOff(ctx context.Context) error {
	if err := v.control.do(ctx, "system_powerdown", nil); err != nil {
		return fmt.Errorf("power off virtual machine %s: %w", v.cfg.Name, err)
	}
	select {
	case <-v.done:
	case <-ctx.Done():
		return fmt.Errorf("power off virtual machine %s: %w", v.cfg.Name, ctx.Err())
	}
	if state, err := v.State(); state != PoweredOff {
		return errors.Join(fmt.Errorf("power off virtual machine %s: it is %s", v.cfg.Name, state), err)
	}
	return nil
}

// Close kills the machine and removes its disks. Closing twice is harmless.
func (v *VM) Close() error {
	v.mu.Lock()
	again := v.closing
	v.closing = true
	v.mu.Unlock()
	if v.kill != nil {
		v.kill()
	}
	<-v.done
	if again {
		return nil
	}
	v.mu.Lock()
	v.state = Closed
	v.mu.Unlock()
	var err error
	if v.imds != nil {
		err = v.imds.Close()
		<-v.imdsDone
	}
	if v.run != "" && v.cfg.Run == "" {
		err = errors.Join(err, os.RemoveAll(v.run))
	}
	if v.dir != "" {
		err = errors.Join(err, removeIfThere(v.seed()))
		if !v.cfg.Kept {
			err = errors.Join(err, removeIfThere(v.disk()))
		}
	}
	if v.ownDir {
		err = errors.Join(err, os.Remove(v.cfg.Dir))
	}
	if err != nil {
		return fmt.Errorf("close virtual machine %s: %w", v.cfg.Name, err)
	}
	return nil
}

func removeIfThere(name string) error {
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
