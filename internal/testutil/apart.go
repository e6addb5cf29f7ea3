package testutil

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// Namespaces has a program start in namespaces of its own, like CLONE_NEWNET, and end with
// the thread that started it. Its mounts are seen by nobody else. Who is not root is root there.
func Namespaces(flags uintptr) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Cloneflags: flags &^ syscall.CLONE_NEWNS, Unshareflags: flags & syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		attr.Cloneflags |= syscall.CLONE_NEWUSER
		attr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		attr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	return attr
}

// Apart runs the tests again, from their TestMain, in a network and with mounts of their own,
// and with more in the environment. It returns their exit code.
func Apart(env ...string) (code int, err error) {
	runtime.LockOSThread() // they end with it
	tests := exec.Command("/proc/self/exe", os.Args[1:]...)
	tests.Stdin, tests.Stdout, tests.Stderr = os.Stdin, os.Stdout, os.Stderr
	tests.Env = append(os.Environ(), env...)
	tests.SysProcAttr = Namespaces(syscall.CLONE_NEWNET | syscall.CLONE_NEWNS)
	err = tests.Run()
	if ended := new(exec.ExitError); errors.As(err, &ended) {
		return ended.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}
