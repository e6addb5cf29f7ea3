package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// tick is the unit in which the kernel tells the CPU time of a process that still
// runs: figures of git-sync are that coarse.
const tick = 10 * time.Millisecond

// gitSync is git-sync, resident: it syncs once when it starts, and then whenever it
// gets a signal.
type gitSync struct {
	program, usage string
	task           task
	process        *process
}

func gitSyncs(program, usage string) func(testing.TB, task) contender {
	return func(t testing.TB, k task) contender {
		g := &gitSync{program: program, usage: usage, task: k}
		t.Cleanup(func() { g.end() }) // it does not end with its parent
		return g
	}
}

func (g *gitSync) path() string { return filepath.Join(g.task.dir, "current") }

// syncs is how many it has done, cleaning up included.
func (g *gitSync) syncs() int {
	return strings.Count(g.process.said.String(), `"msg":"next sync"`)
}

func (g *gitSync) sync(ctx context.Context, times int) (usage, error) {
	if g.process == nil {
		argv := []string{g.program, "--repo", g.task.url, "--root", g.task.dir, "--link", "current", "--ref", "main", "--depth", "1",
			"--period", "24h", "--sync-on-signal", "SIGHUP", "--verbose", "3"}
		p, err := measured(context.WithoutCancel(ctx), g.usage, g.task.dir, append(g.task.env, "HOME="+g.task.dir), argv)
		if err != nil {
			return usage{}, err
		}
		g.process = p
		if err := g.done(ctx, 1); err != nil {
			return usage{}, err
		}
		used, err := ticks(p.pid)
		return usage{CPU: used}, err
	}
	before, err := ticks(g.process.pid)
	if err != nil {
		return usage{}, err
	}
	for range times {
		count := g.syncs()
		if err := errors.Join(syscall.Kill(g.process.pid, syscall.SIGHUP), g.done(ctx, count+1)); err != nil {
			return usage{}, err
		}
	}
	after, err := ticks(g.process.pid)
	return usage{CPU: after - before}, err
}

// done waits until count syncs are over.
func (g *gitSync) done(ctx context.Context, count int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for g.syncs() < count {
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for git-sync: %w: %s", ctx.Err(), g.process.said.String())
		case <-look.C:
		}
	}
	return nil
}

func (g *gitSync) end() (int64, error) {
	if g.process == nil {
		return 0, nil
	}
	if err := syscall.Kill(g.process.pid, syscall.SIGKILL); err != nil {
		return 0, err
	}
	used, err := g.process.killed()
	g.process = nil
	return used.Peak, err
}

// killed is wait for a program that was killed.
func (p *process) killed() (usage, error) {
	var last usage
	err := p.read.Decode(&last)
	return last, errors.Join(err, p.cmd.Wait(), p.report.Close())
}

// ticks is the CPU time of a process and of those of its children that have ended.
func ticks(pid int) (time.Duration, error) {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(rest)
	var sum int
	for _, field := range fields[11:15] {
		n, err := strconv.Atoi(field)
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * tick, nil
}
