package machine

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// The ways QEMU runs a processor.
const (
	accelKVM = "kvm"
	accelTCG = "tcg,thread=multi,tb-size=512"
)

const (
	// qemuProgram is the only architecture there is so far.
	qemuProgram = "qemu-system-x86_64"
	// kernelArgs make an emulated boot shorter and its clock steady.
	kernelArgs = "root=/dev/vda rw console=ttyS0 mitigations=off tsc=reliable no_timer_check"
	// qmpFD is where QEMU finds its end of the control connection.
	qmpFD = 3
	// launchTries is how often ports are chosen anew when somebody else was faster.
	launchTries = 4
)

// makeOverlay makes a disk that holds what changes of another, which stays as it is.
// It is as large as that, or as size says where that is more. It is there whole or not
// at all.
func makeOverlay(ctx context.Context, base, overlay string, size int64) error {
	half := overlay + ".tmp"
	args := []string{"create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, half}
	info, err := os.Stat(base)
	if err == nil && size > info.Size() {
		args = append(args, fmt.Sprint(size))
	}
	if err == nil {
		_, err = output(exec.CommandContext(ctx, "qemu-img", args...))
	}
	if err == nil {
		err = os.Rename(half, overlay)
	}
	if err != nil {
		return fmt.Errorf("make the disk: %w", err)
	}
	return nil
}

// arguments are those of QEMU for this machine.
func (v *VM) arguments() []string {
	cpu := "max"
	if v.accel == accelKVM {
		cpu = "host"
	}
	args := []string{
		"-nodefaults", "-no-user-config", "-display", "none", "-name", v.cfg.Name,
		"-machine", "q35", "-accel", v.accel, "-cpu", cpu,
		"-smp", fmt.Sprint(v.cfg.CPUs), "-m", fmt.Sprint(v.cfg.Memory),
		"-kernel", v.cfg.Image.Kernel(), "-initrd", v.cfg.Image.Initrd(), "-append", kernelArgs,
		"-drive", "if=none,id=root,format=qcow2,cache=" + v.cache() + ",file=" + comma(v.disk()),
		"-device", "virtio-blk-pci,drive=root",
		"-device", "virtio-rng-pci",
		"-netdev", v.network(), "-device", "virtio-net-pci,netdev=net,mac=" + v.cfg.MAC(),
		"-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console",
		"-chardev", fmt.Sprintf("socket,id=control,fd=%d", qmpFD), "-mon", "chardev=control,mode=control",
	}
	args = append(args, v.volumes()...)
	if v.cfg.EC2 == nil {
		return append(args,
			"-drive", "if=none,id=seed,format=raw,readonly=on,file="+comma(v.seed()),
			"-device", "virtio-blk-pci,drive=seed")
	}
	// What cloud-init knows EC2 by: the maker, and an id and a serial number that
	// are alike and begin with ec2.
	id := smbiosUUID(v.cfg.EC2.cfg.InstanceID)
	return append(args, "-smbios",
		"type=1,manufacturer=Amazon EC2,product="+comma(v.cfg.EC2.cfg.InstanceType)+",uuid="+id+",serial="+id)
}

// network is QEMU's own: DHCP, this machine's loopback behind one address, and
// the ports that are forwarded.
func (v *VM) network() string {
	parts := []string{"user", "id=net"}
	if v.cfg.EC2 != nil {
		parts = append(parts, "net=169.254.169.0/24", "host="+HostFromEC2, "dhcpstart="+ec2Guest,
			v.guestForward(ec2Metadata+":80", v.metadataSocket()))
	}
	for address, socket := range v.cfg.Sockets {
		parts = append(parts, v.guestForward(address, socket))
	}
	for port, addr := range v.forward {
		parts = append(parts, fmt.Sprintf("hostfwd=tcp:%s-:%d", addr, port))
	}
	return strings.Join(parts, ",")
}

// guestForward has QEMU start a process for each connection to an address, which joins
// it to a socket. QEMU splits the line at blanks, as a shell would.
func (v *VM) guestForward(address, socket string) string {
	return fmt.Sprintf("guestfwd=tcp:%s-cmd:%s", address, comma(fmt.Sprintf("/proc/%d/exe %s %s %s", os.Getpid(), verbPipe, shellQuote(socket), shellQuote(v.run))))
}

// cache is how what the machine wrote comes to the disk: one that is kept is believed
// when it says that it is there.
func (v *VM) cache() string {
	if v.cfg.Kept {
		return "writeback"
	}
	return "unsafe"
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

// comma writes a value so that QEMU does not take its commas for its own.
func comma(s string) string { return strings.ReplaceAll(s, ",", ",,") }

// MAC is the address of the machine's one interface, for a metadata service to
// show: the same for every machine of that name.
func (cfg VMConfig) MAC() string {
	sum := sha256.Sum256([]byte(cfg.Name))
	return net.HardwareAddr{0x52, 0x54, 0x00, sum[0], sum[1], sum[2]}.String()
}

// smbiosUUID is an id that begins as those of EC2 do, always the same for an
// instance.
func smbiosUUID(instance string) string {
	sum := sha256.Sum256([]byte(instance))
	digits := hex.EncodeToString(sum[:])
	return "ec2" + digits[:5] + "-" + digits[5:9] + "-4" + digits[9:12] + "-8" + digits[12:15] + "-" + digits[15:27]
}

// launch starts QEMU, on other ports when somebody took those that were chosen.
func (v *VM) launch(ctx context.Context) error {
	if runtime.GOARCH != "amd64" {
		return fmt.Errorf("virtual machines are made for amd64 only, and this is %s: use a container", runtime.GOARCH)
	}
	for range launchTries - 1 {
		err := v.launchOnce(ctx)
		if err == nil || !strings.Contains(err.Error(), "forwarding rule") {
			return err
		}
	}
	return v.launchOnce(ctx)
}

func (v *VM) launchOnce(ctx context.Context) error {
	maps.Copy(v.forward, v.cfg.ForwardFrom)
	for _, port := range v.cfg.Forward {
		addr, err := freePort()
		if err != nil {
			return err
		}
		v.forward[port] = addr
	}
	ours, theirs, err := socketPair()
	if err != nil {
		return err
	}
	tail := &tailWriter{limit: 4 << 10}
	cmd := exec.Command(qemuProgram, v.arguments()...)
	cmd.Stdout, cmd.Stderr = v.cfg.Console, tail
	cmd.ExtraFiles = []*os.File{theirs}
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true, Pdeathsig: unix.SIGKILL}
	cmd.WaitDelay = time.Second

	started := make(chan error)
	ended := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // the machine ends with the thread that started it
		err := cmd.Start()
		started <- err
		if err == nil {
			ended <- cmd.Wait()
		}
	}()
	err = <-started
	if closeErr := theirs.Close(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = fmt.Errorf("%s is not installed here", qemuProgram)
		}
		return errors.Join(err, closeErr, ours.Close())
	}
	control, err := newQMP(ctx, ours, v.event)
	if err != nil {
		_ = cmd.Process.Kill() // it may have ended by itself
		waitErr := <-ended
		return errors.Join(commandError(cmd, errors.Join(err, waitErr), tail.bytes), ours.Close())
	}
	v.control = control
	v.kill = func() { _ = cmd.Process.Kill() }
	go v.attend(ended, tail)
	return nil
}

// event notes what QEMU tells of the machine.
func (v *VM) event(event string, guest bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	switch event {
	case "RESET":
		close(v.reset)
		v.reset = make(chan struct{})
	case "SHUTDOWN":
		v.turned = guest
	}
}

// attend waits for the machine's end and says what it was.
func (v *VM) attend(ended <-chan error, said *tailWriter) {
	defer close(v.done)
	err := <-ended
	<-v.control.ended // with the last event
	closeErr := v.control.conn.Close()
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case v.closing:
		v.state = Closed
	case err == nil && closeErr == nil && v.turned:
		v.state = PoweredOff
	default:
		v.state = Failed
		v.failure = fmt.Errorf("the emulator ended without being asked: %s", bytes.TrimSpace(said.bytes))
		v.failure = errors.Join(v.failure, err, closeErr)
	}
}

// socketPair is a connection whose other end a child can be given.
func socketPair() (net.Conn, *os.File, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("make the control connection: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(fds[0]), "control"), os.NewFile(uintptr(fds[1]), "control")
	conn, err := net.FileConn(ours)
	if err = errors.Join(err, ours.Close()); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("make the control connection: %w", err), theirs.Close())
	}
	return conn, theirs, nil
}

// freePort is a port of the loopback that was free a moment ago: QEMU does not
// choose by itself.
func freePort() (netip.AddrPort, error) {
	listener, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("find a free port: %w", err)
	}
	addr := listener.Addr().(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), listener.Close()
}
