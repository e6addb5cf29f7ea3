// Package process starts the programs of an instance so that none of them
// outlives it: each in a session of its own, written down before it runs, and
// ended with everything it started.
package process

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"syscall"
	"time"

	"popup/internal/sandbox"
)

const (
	// defaultGrace is how long a program may take to end by itself.
	defaultGrace = 10 * time.Second
	// killWait is how long a killed process may take to be gone.
	killWait = 5 * time.Second
	// outputWait is how long the output of a program that has ended is waited
	// for, should somebody who cannot be killed still hold it.
	outputWait = time.Second
)

// A Spec says what to start. The program's standard input is empty.
type Spec struct {
	Name string   // for people, for errors and for the record: lower-case letters, digits, dots, hyphens, underscores
	Argv []string // never a line for a shell; a program without a slash is looked up in the PATH of Env
	Dir  string   // the folder it starts in; empty: the caller's
	Env  []string // its whole environment, NAME=value; nothing is inherited

	// RunDir is where the process is written down before the program runs, for
	// EndOrphans. Empty: it is not, and outlives a caller that is killed.
	RunDir string
	// Grace is how long after TERM the KILL comes; 0: 10 s.
	Grace time.Duration
	// Output is given what the program prints, on both its outputs. It must not
	// block; after its first error it is given nothing more. nil: only the tail is kept.
	Output io.Writer
	// ExtraFiles are open in the program as descriptors 3 and up. The caller closes its own.
	ExtraFiles []*os.File
}

var processName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (s Spec) validate() error {
	if !processName.MatchString(s.Name) {
		return fmt.Errorf("start program %q: its name may have lower-case letters, digits, dots, hyphens and underscores, at most 64", s.Name)
	}
	if s.Dir == "" {
		return nil
	}
	info, err := os.Stat(s.Dir)
	if err != nil {
		return fmt.Errorf("start %s: enter its folder: %w", s.Name, err)
	}
	if !info.IsDir() {
		return fmt.Errorf("start %s: %s is not a folder", s.Name, s.Dir)
	}
	return nil
}

// A Process is a started program and everything it started. Its methods may be
// called at once from several goroutines.
type Process struct {
	name   string
	cmd    *exec.Cmd
	tail   *tail
	grace  time.Duration
	record string // the path of its record; empty: it has none
	family family

	mu     sync.Mutex
	reaped bool // the number of the process may be somebody else's now

	stopping chan struct{} // closed by the first Stop
	stopOnce sync.Once
	killNow  chan struct{} // closed when no more time is given
	killOnce sync.Once

	done    chan struct{} // what follows is set before it is closed
	exit    *ExitError
	stopped bool  // it was Stop that ended it
	lateErr error // what could not be ended or removed
}

// Start starts a program. ctx bounds the start alone: the process goes on until
// it ends or Stop is called, and one of the two must happen. That the program is
// not there, or may not be run, is known only once it was tried: then it ends
// with status 127 or 126, and a sentence in its output.
func Start(ctx context.Context, spec Spec) (*Process, error) {
	p := &Process{
		name: spec.Name, tail: &tail{also: spec.Output}, grace: spec.Grace,
		stopping: make(chan struct{}), killNow: make(chan struct{}), done: make(chan struct{}),
	}
	if p.grace == 0 {
		p.grace = defaultGrace
	}
	if err := p.begin(ctx, spec, p.tail); err != nil {
		return nil, err
	}
	go p.watch()
	return p, nil
}

// begin starts the program, behind its gate at first, with what it prints to output.
func (p *Process) begin(ctx context.Context, spec Spec, output io.Writer) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if err := spec.validate(); err != nil {
		return err
	}
	gateOut, gateIn, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	defer func() { _ = gateIn.Close() }() // closing it before it was opened keeps the program from running
	argv, err := sandbox.Gated(spec.Argv, 3+len(spec.ExtraFiles))
	if err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", spec.Name, err), gateOut.Close())
	}
	p.cmd = exec.Command(argv[0], argv[1:]...)
	p.cmd.Dir = spec.Dir
	p.cmd.Env = []string{}
	p.cmd.Stdout, p.cmd.Stderr = output, output
	p.cmd.WaitDelay = outputWait
	p.cmd.ExtraFiles = append(append([]*os.File{}, spec.ExtraFiles...), gateOut)
	// A session of its own is also a process group of its own, and has no
	// terminal whose input the program could forge.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = p.cmd.Start()
	if err := errors.Join(err, gateOut.Close()); err != nil {
		return fmt.Errorf("start %s: %w", spec.Name, err)
	}
	if err := p.admit(spec, gateIn); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", spec.Name, err), p.abandon())
	}
	return nil
}

// admit writes the waiting process down and lets it become the program.
func (p *Process) admit(spec Spec, gate io.WriteCloser) error {
	r, err := newRecord(spec.Name, p.cmd.Process.Pid)
	if err != nil {
		return err
	}
	p.family = r.family()
	p.family.held = true
	if spec.RunDir != "" {
		if p.record, err = r.write(spec.RunDir); err != nil {
			return err
		}
	}
	if !p.family.cgroup.make(p.PID()) {
		p.family.cgroup = ""
	}
	env := append(append([]string{}, spec.Env...), tokenName+"="+r.Token)
	return errors.Join(sandbox.OpenGate(gate, env), gate.Close())
}

// abandon ends a process that still waits at its gate.
func (p *Process) abandon() error {
	killErr := p.cmd.Process.Kill()
	_ = p.cmd.Wait() // that it was killed is known
	return errors.Join(killErr, p.forget())
}

// forget removes what was kept about the process outside of this program.
func (p *Process) forget() error {
	var err error
	if p.record != "" {
		err = os.Remove(p.record)
	}
	return errors.Join(err, p.family.cgroup.remove())
}

// PID is the number of the process, of its group and of its session. It may be
// another's after Done.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the program and everything it started is gone.
func (p *Process) Done() <-chan struct{} { return p.done }

// Err says how the program ended: an *ExitError, also for status 0. It is nil
// before Done, and when Stop was what ended it. What the program printed is not
// in it, because it is shown to anybody: see Tail.
func (p *Process) Err() error {
	select {
	case <-p.done:
	default:
		return nil
	}
	if p.stopped {
		return nil
	}
	return p.exit
}

// Tail is the last that the program printed: at most 64 KiB, whole lines.
func (p *Process) Tail() string { return p.tail.String() }
