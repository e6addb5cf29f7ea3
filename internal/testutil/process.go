package testutil

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// endsWithin is how long a program may take to end once it was told to.
const endsWithin = time.Minute

// A Process is a program that runs, no longer than the test and the tests do.
type Process struct {
	t    testing.TB
	cmd  *exec.Cmd
	said Buffer
	log  Buffer
	done chan struct{}
}

// Start starts a program. What it logs, to where cmd says nothing else, is told where the
// test fails.
func Start(t testing.TB, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{t: t, cmd: cmd, log: Buffer{Last: 16 << 10}, done: make(chan struct{})}
	cmd.Stdout = &p.said
	if cmd.Stderr == nil {
		cmd.Stderr = &p.log
	}
	cmd.WaitDelay = 5 * time.Second // what it left running may hold its streams
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	if err := lasting(cmd.Start); err != nil {
		t.Fatalf("start %s: %v", cmd, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in its ProcessState
		close(p.done)
	}()
	t.Cleanup(func() {
		if p.over() {
			return
		}
		p.End(syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd, p.Log())
		}
	})
	return p
}

// Says waits for a line of its standard output that begins with prefix, and returns the
// rest of the first one.
func (p *Process) Says(prefix string, within time.Duration) string {
	p.t.Helper()
	rest, err := p.Heard(prefix, within)
	if err != nil {
		p.t.Fatal(err)
	}
	return rest
}

// Heard is Says for who goes on without it: the error tells an early end with its log.
func (p *Process) Heard(prefix string, within time.Duration) (rest string, err error) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(within); ; {
		over := p.over() // asked first, so that its last words count
		for line := range strings.Lines(p.said.String()) {
			if rest, found := strings.CutPrefix(line, prefix); found && strings.HasSuffix(rest, "\n") {
				return strings.TrimSuffix(rest, "\n"), nil
			}
		}
		if over {
			return "", fmt.Errorf("%s ended before it said %q: %v\n%s", p.cmd, prefix, p.cmd.ProcessState, p.Log())
		}
		select {
		case <-tick.C:
		case <-p.done:
		case <-late:
			return "", fmt.Errorf("%s does not say %q within %s\n%s", p.cmd, prefix, within, p.Log())
		}
	}
}

// End sends it a signal, waits, and returns how it ended, which may be before.
func (p *Process) End(with syscall.Signal) *os.ProcessState {
	p.t.Helper()
	for _, signal := range []syscall.Signal{with, syscall.SIGKILL} {
		_ = p.cmd.Process.Signal(signal) // it may have ended
		select {
		case <-p.done:
			return p.cmd.ProcessState
		case <-time.After(endsWithin):
			p.t.Errorf("%s does not end within %s of %q\n%s", p.cmd, endsWithin, signal, p.Log())
		}
	}
	p.t.FailNow() // there is nothing that it ended with
	return nil
}

// Done is closed when it ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// Ended is how it ended, once Done is closed.
func (p *Process) Ended() *os.ProcessState { return p.cmd.ProcessState }

// Pid is its number.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log is the end of what it logged.
func (p *Process) Log() string { return p.log.String() }

func (p *Process) over() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

var starts = sync.OnceValue(func() chan<- func() {
	todo := make(chan func())
	go func() {
		runtime.LockOSThread()
		for do := range todo {
			do()
		}
	}()
	return todo
})

// lasting calls what starts a program on a thread that no goroutine ends: the program may end
// with that thread, that is with this process.
func lasting(start func() error) (err error) {
	done := make(chan struct{})
	starts() <- func() { err = start(); close(done) }
	<-done
	return err
}
