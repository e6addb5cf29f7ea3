package process

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Stop ends the program and everything it started: TERM to its group, when the
// program itself has ended also to what left the group, and KILL to all that is
// left when Grace or ctx is over. It returns when they are gone.
// It may be called again, and after the program ended by itself. An error says
// what could not be ended.
func (p *Process) Stop(ctx context.Context) error {
	p.stopOnce.Do(func() {
		close(p.stopping)
		p.signal(syscall.SIGTERM)
	})
	grace := time.NewTimer(p.grace)
	defer grace.Stop()
	select {
	case <-p.done:
		return p.lateErr
	case <-grace.C:
	case <-ctx.Done():
	}
	p.killOnce.Do(func() { close(p.killNow) })
	stuck := time.NewTimer(killWait + 2*outputWait)
	defer stuck.Stop()
	select {
	case <-p.done:
		return p.lateErr
	case <-stuck.C:
		return fmt.Errorf("stop %s: process %d does not end though it was killed; the kernel holds it, often for a disk or a network file system that does not answer", p.name, p.PID())
	}
}

// signal sends sig to the program's group, unless its number may be another's.
func (p *Process) signal(sig syscall.Signal) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.reaped {
		_ = syscall.Kill(-p.PID(), sig) // it fails only when all of the group has ended
	}
}

// watch waits for the end of the program, ends what is left of its family, and
// only then reaps it: until then no other process can have its number.
func (p *Process) watch() {
	defer close(p.done)
	exited := make(chan struct{})
	go func() {
		defer close(exited)
		awaitExit(p.PID())
	}()
	select {
	case <-exited:
		p.awaitFamily()
	case <-p.killNow:
	}
	_, endErr := p.family.end()
	<-exited
	p.mu.Lock()
	p.reaped = true
	p.mu.Unlock()
	waitErr := p.cmd.Wait()
	if p.cmd.ProcessState == nil {
		endErr = errors.Join(endErr, waitErr)
	}
	if errors.Is(waitErr, exec.ErrWaitDelay) {
		p.tail.seal() // somebody else still writes to it
	}
	p.exit = newExitError(p.name, p.cmd.ProcessState)
	select {
	case <-p.stopping:
		p.stopped = true
	default:
	}
	p.lateErr = errors.Join(endErr, p.forget())
}

// awaitFamily gives the children of a program that is being stopped the rest of
// its grace. Those of one that ended by itself get none.
func (p *Process) awaitFamily() {
	select {
	case <-p.stopping:
	default:
		return
	}
	_ = p.family.signal(p.family.members(), syscall.SIGTERM) // what cannot be asked is killed in the end
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for len(p.family.members()) > 0 {
		select {
		case <-tick.C:
		case <-p.killNow:
			return
		}
	}
}

// awaitExit returns when the child pid has ended, and leaves it to be reaped.
func awaitExit(pid int) {
	for {
		err := unix.Waitid(unix.P_PID, pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if !errors.Is(err, unix.EINTR) {
			return
		}
	}
}
