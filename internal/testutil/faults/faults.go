// Package faults runs a program and lets it fail at a system call of the test's
// choice: the kernel asks us before each (seccomp's user notification), so a fault
// stands exactly where it was put, whatever thread comes there.
//
// The program is started by a shim in the test binary: TestMain calls Shim first.
package faults

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// shimName is the first argument of the test binary where it is the shim.
const shimName = "faults-shim"

// A Call is a system call that is about to be made.
type Call struct {
	Kind Kind
	N    int // how many of this kind there were, this one included
}

// A Kind groups system calls.
type Kind string

// The kinds that a test is asked about. Writes are those that take room on a disk.
const (
	Rename  Kind = "rename"
	Sync    Kind = "sync"
	NetRead Kind = "network read"
	Write   Kind = "write"
	Other   Kind = ""
)

// A Verdict says what becomes of a call.
type Verdict struct {
	Kill  bool          // end the program, instead of the call
	Errno syscall.Errno // fail the call; 0: let it be made
}

// Run starts argv with env added to the environment, asks decide about its calls, and
// waits for it. It returns what it printed. decide is called by one goroutine.
func Run(ctx context.Context, argv, env []string, decide func(Call) Verdict) ([]byte, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("run with faults: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "faults"), os.NewFile(uintptr(pair[1]), "faults")
	self, err := os.Executable()
	if err != nil {
		return nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	cmd := exec.CommandContext(ctx, self, append([]string{shimName}, argv...)...)
	cmd.Env = append(os.Environ(), env...)
	cmd.ExtraFiles = []*os.File{theirs}
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(err, ours.Close(), theirs.Close())
	}
	served := make(chan error, 1)
	err = theirs.Close()
	listener, lerr := receive(ours)
	err = errors.Join(err, lerr, ours.Close())
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	go func() { served <- serve(listener, cmd.Process, decide) }()
	waited := cmd.Wait()
	return []byte(out.String()), errors.Join(waited, <-served, unix.Close(listener))
}

// receive takes the listener that the shim sends.
func receive(from *os.File) (int, error) {
	conn, err := net.FileConn(from)
	if err != nil {
		return -1, err
	}
	defer conn.Close() //nolint:errcheck // nothing was written to it
	text, control := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	_, n, _, _, err := conn.(*net.UnixConn).ReadMsgUnix(text, control)
	if err != nil {
		return -1, err
	}
	messages, err := unix.ParseSocketControlMessage(control[:n])
	if err != nil || len(messages) == 0 {
		return -1, fmt.Errorf("the shim sent no listener: %w", err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil {
		return -1, err
	}
	return fds[0], nil
}

// notice and answer are the kernel's struct seccomp_notif and seccomp_notif_resp.
type notice struct {
	id         uint64
	pid, flags uint32
	number     int32
	arch       uint32
	at         uint64
	args       [6]uint64
}

type answer struct {
	id    uint64
	value int64
	errno int32
	flags uint32
}

// serve answers until the program is gone.
func serve(listener int, program *os.Process, decide func(Call) Verdict) error {
	counts := map[Kind]int{}
	for {
		fds := []unix.PollFd{{Fd: int32(listener), Events: unix.POLLIN}}
		if _, err := unix.Poll(fds, -1); err != nil {
			if errors.Is(err, syscall.EINTR) {
				continue
			}
			return err
		}
		if fds[0].Revents&unix.POLLIN == 0 {
			return nil
		}
		var n notice
		if errno := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); errno != 0 {
			if errno == unix.ENOENT || errno == unix.EINTR { // the caller went before we looked
				continue
			}
			return errno
		}
		reply := answer{id: n.id, flags: unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE}
		if kind := kindOf(n); kind != Other {
			counts[kind]++
			switch v := decide(Call{kind, counts[kind]}); {
			case v.Kill:
				if err := program.Signal(syscall.SIGKILL); err != nil {
					return err
				}
				continue
			case v.Errno != 0:
				reply.errno, reply.flags = -int32(v.Errno), 0
			}
		}
		if errno := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&reply)); errno != 0 && errno != unix.ENOENT {
			return errno
		}
	}
}

func ioctl(fd int, request uint, arg unsafe.Pointer) syscall.Errno {
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd), uintptr(request), uintptr(arg))
	return errno
}

// kindOf looks at what a call is for.
func kindOf(n notice) Kind {
	switch n.number {
	case unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2:
		return Rename
	case unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS:
		return Sync
	case unix.SYS_MKDIRAT, unix.SYS_LINKAT, unix.SYS_SYMLINKAT:
		return Write
	case unix.SYS_OPENAT:
		if n.args[2]&unix.O_CREAT != 0 {
			return Write
		}
	case unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV:
		if strings.HasPrefix(fdName(n.pid, n.args[0]), "/") {
			return Write
		}
	case unix.SYS_COPY_FILE_RANGE:
		return Write
	case unix.SYS_READ, unix.SYS_RECVFROM, unix.SYS_RECVMSG:
		if strings.HasPrefix(fdName(n.pid, n.args[0]), "socket:") {
			return NetRead
		}
	}
	return Other
}

// fdName is what a descriptor of the program leads to. A pipe has no name in the
// file system, and neither has a device worth filling.
func fdName(pid uint32, fd uint64) string {
	name, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, fd))
	if err != nil || strings.HasPrefix(name, "/dev/") || strings.HasPrefix(name, "/proc/") {
		return ""
	}
	return name
}

// Shim is to be called first in TestMain: where this process was started to become a
// program that has faults, it becomes that, and does not return.
func Shim() {
	if len(os.Args) < 3 || os.Args[1] != shimName {
		return
	}
	runtime.LockOSThread()
	err := become(os.Args[2:])
	fmt.Fprintln(os.Stderr, "faults:", err)
	os.Exit(125)
}

func become(argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	listener, err := install([]uint32{
		unix.SYS_RENAMEAT, unix.SYS_RENAMEAT2, unix.SYS_FSYNC, unix.SYS_FDATASYNC, unix.SYS_SYNCFS, unix.SYS_MKDIRAT, unix.SYS_LINKAT,
		unix.SYS_SYMLINKAT, unix.SYS_OPENAT, unix.SYS_WRITE, unix.SYS_PWRITE64, unix.SYS_WRITEV, unix.SYS_COPY_FILE_RANGE,
		unix.SYS_READ, unix.SYS_RECVFROM, unix.SYS_RECVMSG,
	})
	if err != nil {
		return fmt.Errorf("install the filter: %w", err)
	}
	const socket = 3 // the first of exec.Cmd.ExtraFiles
	if err := unix.Sendmsg(socket, []byte{0}, unix.UnixRights(listener), nil, 0); err != nil {
		return err
	}
	unix.CloseOnExec(listener)
	unix.CloseOnExec(socket)
	return syscall.Exec(path, argv, os.Environ())
}

// install has the kernel ask about the numbered calls of this thread and what it becomes.
func install(calls []uint32) (int, error) {
	load := func(offset uint32) unix.SockFilter {
		return unix.SockFilter{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: offset}
	}
	program := []unix.SockFilter{load(0)}
	for i, nr := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, K: nr, Jt: uint8(len(calls) - i)})
	}
	program = append(program,
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return -1, err
	}
	filter := unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]}
	fd, _, errno := syscall.RawSyscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&filter)))
	if errno != 0 {
		return -1, errno
	}
	return int(fd), nil
}
