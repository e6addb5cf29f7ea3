package process

import (
	"fmt"
	"os"
	"syscall"
)

// An ExitError says how a program ended.
type ExitError struct {
	Name   string         // of the process, as its Spec said
	Code   int            // the exit status, or 128 + Signal
	Signal syscall.Signal // what killed it; 0: it exited
}

func newExitError(name string, state *os.ProcessState) *ExitError {
	e := &ExitError{Name: name, Code: -1}
	if state == nil {
		return e
	}
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		e.Signal = status.Signal()
		e.Code = 128 + int(e.Signal)
	default:
		e.Code = state.ExitCode()
	}
	return e
}

func (e *ExitError) Error() string {
	switch {
	case e.Signal == syscall.SIGKILL:
		return fmt.Sprintf("%s was killed by signal 9, as the kernel does when memory runs out", e.Name)
	case e.Signal != 0:
		return fmt.Sprintf("%s was ended by signal %d (%s)", e.Name, e.Signal, e.Signal)
	case e.Code == 126 || e.Code == 127:
		return fmt.Sprintf("%s exited with status %d: a program could not be run, and its output says why", e.Name, e.Code)
	default:
		return fmt.Sprintf("%s exited with status %d", e.Name, e.Code)
	}
}
