package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// Usage is what a client used.
type usage struct {
	CPU  time.Duration `json:"cpu"`  // with its children
	Peak int64         `json:"peak"` // bytes of memory; 0: only known once it has ended
}

// A contender keeps a copy of main up to date.
type contender interface {
	// sync looks for something new, times times, and takes it. The first call makes the copy.
	sync(ctx context.Context, times int) (usage, error)
	// path is where the copy is.
	path() string
	// end ends what still runs, and returns the peak of memory where sync could not.
	end() (int64, error)
}

// A task is what a contender is made for.
type task struct {
	url  string
	dir  string   // its own
	env  []string // what makes it trust the server
	rest string   // where to have the server end idle connections between two polls; empty: it does not
	// relay is what to ask first; empty: none.
	relay string
}

// A kind makes contenders.
type kind struct {
	name  string
	open  func(testing.TB, task) contender
	relay bool // asks a relay first
}

// gits run git commands: the first ones once, then the others each time.
func gits(usage string, first func(url, dir string) [][]string, then func(url string) [][]string) func(testing.TB, task) contender {
	return func(t testing.TB, k task) contender {
		return &commands{usage: usage, task: k, first: first, then: then}
	}
}

type commands struct {
	usage string
	task  task
	first func(url, dir string) [][]string
	then  func(url string) [][]string
	here  bool
}

func (c *commands) path() string        { return filepath.Join(c.task.dir, "copy") }
func (c *commands) end() (int64, error) { return 0, nil }

func (c *commands) sync(ctx context.Context, times int) (total usage, err error) {
	if !c.here {
		c.here = true
		return total, c.run(ctx, c.task.dir, c.first(c.task.url, c.path()), &total)
	}
	for range times {
		if err := c.run(ctx, c.path(), c.then(c.task.url), &total); err != nil {
			return total, err
		}
	}
	return total, nil
}

func (c *commands) run(ctx context.Context, dir string, all [][]string, total *usage) error {
	for _, argv := range all {
		p, err := measured(ctx, c.usage, dir, append(c.task.env, "HOME="+c.task.dir), argv)
		if err != nil {
			return err
		}
		used, err := p.wait()
		if err != nil {
			return err
		}
		total.CPU += used.CPU
		total.Peak = max(total.Peak, used.Peak)
	}
	return nil
}

// process is a program that another one measures.
type process struct {
	cmd    *exec.Cmd
	pid    int
	said   said
	report *os.File
	read   *json.Decoder
}

// said is what a program printed so far.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// measured starts argv below the program usage.
func measured(ctx context.Context, program, dir string, env, argv []string) (*process, error) {
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	p := &process{report: read, read: json.NewDecoder(read)}
	p.cmd = exec.CommandContext(ctx, program, argv...)
	p.cmd.Dir, p.cmd.Env, p.cmd.ExtraFiles = dir, environment(env...), []*os.File{write}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := errors.Join(p.cmd.Start(), write.Close()); err != nil {
		return nil, errors.Join(err, read.Close())
	}
	var first struct{ Pid int }
	if err := p.read.Decode(&first); err != nil {
		return nil, fmt.Errorf("start %s: %w: %s", argv[0], err, p.said.String())
	}
	p.pid = first.Pid
	return p, nil
}

// wait returns what the program used.
func (p *process) wait() (usage, error) {
	var last struct {
		usage
		Exit int
	}
	err := p.read.Decode(&last)
	if errors.Is(err, io.EOF) {
		err = errors.New("it ended without a report")
	}
	if err = errors.Join(err, p.cmd.Wait(), p.report.Close()); err == nil && last.Exit != 0 {
		err = fmt.Errorf("%s: exit %d", filepath.Base(p.cmd.Path), last.Exit)
	}
	if err != nil {
		return usage{}, fmt.Errorf("run %v: %w: %s", p.cmd.Args[1:], err, p.said.String())
	}
	return last.usage, nil
}
