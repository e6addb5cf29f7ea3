package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// reachTimeout is how long a connection is waited for; a refusal must be faster.
const reachTimeout = 2 * time.Second

// targets are what a report is about. What is empty is not tried.
type targets struct {
	read, write, change, connect, reach list
	pid                                 int
	setuid, scratch                     string
}

// An attempt is one forbidden thing and what came of it.
type attempt struct {
	Name    string        `json:"name"`
	Allowed bool          `json:"allowed"`
	Why     string        `json:"why,omitempty"` // of a refusal
	Took    time.Duration `json:"took"`
}

type report struct{ attempts []attempt }

func (r *report) try(name string, do func() error) {
	began := time.Now()
	err := do()
	a := attempt{Name: name, Allowed: err == nil, Took: time.Since(began)}
	if err != nil {
		a.Why = err.Error()
	}
	r.attempts = append(r.attempts, a)
}

// tryEach makes one attempt for each of paths.
func (r *report) tryEach(name string, paths []string, do func(string) error) {
	for _, path := range paths {
		r.try(name+" "+path, func() error { return do(path) })
	}
}

func (t targets) report() []attempt {
	// What is given up or taken belongs to a thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var r report
	r.tryEach("read", t.read, read)
	r.tryEach("write", t.write, write)
	r.tryEach("change", t.change, change)
	r.tryEach("connect", t.connect, connect)
	r.tryEach("reach", t.reach, reach)
	if t.pid != 0 {
		r.try("signal", func() error { return unix.Kill(t.pid, 0) })
		r.try("trace", func() error { return trace(t.pid) })
		r.try("environment", func() error { return read(fmt.Sprintf("/proc/%d/environ", t.pid)) })
		r.try("enter namespace", func() error { return enterNamespace(t.pid) })
	}
	r.try("become root", func() error { return unix.Setresuid(0, 0, 0) })
	if t.setuid != "" {
		r.try("setuid program", func() error { return runSetuid(t.setuid) })
	}
	r.try("raw socket", func() error { return openSocket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP) })
	r.try("packet socket", func() error { return openSocket(unix.AF_PACKET, unix.SOCK_RAW, 0) })
	if t.scratch != "" {
		r.try("mount", func() error { return mount(t.scratch) })
		r.try("make device", func() error { return makeDevice(filepath.Join(t.scratch, "device")) })
		r.try("chroot", func() error { return chroot(t.scratch) })
	}
	return r.attempts
}

func read(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if info.IsDir() {
		_, err = os.ReadDir(path)
		return err
	}
	_, err = os.ReadFile(path)
	return err
}

func write(dir string) error {
	f, err := os.CreateTemp(dir, "misbehave-")
	if err != nil {
		return err
	}
	return errors.Join(f.Close(), os.Remove(f.Name()))
}

// change tries both ways to change a file that is there: to write to it, and to become able to.
func change(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if f, err := os.OpenFile(path, os.O_WRONLY, 0); err == nil {
		return f.Close()
	}
	return os.Chmod(path, info.Mode()|0o200)
}

func connect(socket string) error {
	conn, err := net.DialTimeout("unix", socket, reachTimeout)
	if err != nil {
		return err
	}
	return conn.Close()
}

// reach connects as the address says, also to an IPv4 address in IPv6 clothes.
func reach(address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return err
	}
	if !target.Addr().Is4In6() {
		conn, err := net.DialTimeout("tcp", address, reachTimeout)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	timeout := unix.NsecToTimeval(reachTimeout.Nanoseconds())
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &timeout); err != nil {
		return err
	}
	return unix.Connect(fd, &unix.SockaddrInet6{Addr: target.Addr().As16(), Port: int(target.Port())})
}

func trace(pid int) error {
	if err := unix.PtraceSeize(pid); err != nil {
		return err
	}
	if err := unix.PtraceInterrupt(pid); err != nil {
		return err
	}
	var status unix.WaitStatus
	if _, err := unix.Wait4(pid, &status, unix.WALL, nil); err != nil {
		return err
	}
	return unix.PtraceDetach(pid)
}

// enterNamespace enters the process's network, which is also its own.
func enterNamespace(pid int) error {
	fd, err := unix.Open(fmt.Sprintf("/proc/%d/ns/net", pid), unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer func() { _ = unix.Close(fd) }()
	return unix.Setns(fd, unix.CLONE_NEWNET)
}

func runSetuid(program string) error {
	out, err := exec.Command(program, "euid").CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	if uid := strings.TrimSpace(string(out)); uid != "0" {
		return fmt.Errorf("it ran as user %s", uid)
	}
	return nil
}

func openSocket(domain, kind, protocol int) error {
	fd, err := unix.Socket(domain, kind|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return err
	}
	return unix.Close(fd)
}

func mount(dir string) error {
	if err := unix.Mount("none", dir, "tmpfs", 0, ""); err != nil {
		return err
	}
	return unix.Unmount(dir, 0)
}

func makeDevice(path string) error {
	if err := unix.Mknod(path, unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))); err != nil {
		return err
	}
	return os.Remove(path)
}

// chroot goes into dir and out again, by the folder it has open.
func chroot(dir string) error {
	root, err := os.Open("/")
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	before, err := os.Getwd()
	if err != nil {
		return err
	}
	if err := syscall.Chroot(dir); err != nil {
		return err
	}
	return errors.Join(root.Chdir(), syscall.Chroot("."), os.Chdir(before))
}
