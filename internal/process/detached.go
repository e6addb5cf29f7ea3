package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Detach starts a program that outlives its caller, whichever way that ends. It is
// written down in spec.RunDir before it runs: Detached says whether it still does, and
// EndOrphans ends it, in this program and in the next. What it prints goes to output,
// which the caller closes; Grace and Output of spec mean nothing. A goroutine stays with
// the program, to take it away when it ends before its caller.
func Detach(ctx context.Context, spec Spec, output *os.File) error {
	if spec.RunDir == "" {
		return fmt.Errorf("start %s: a program that outlives its caller must be written down, and no folder is given for that", spec.Name)
	}
	p := &Process{name: spec.Name}
	if err := p.begin(ctx, spec, output); err != nil {
		return err
	}
	go func() { _ = p.cmd.Wait() }() // how it ended is not asked
	return nil
}

// Detached is the number of the process that Detach started last with its record in
// runDir, where it still runs, and else 0.
func Detached(runDir string) (pid int, err error) {
	r, err := detached(runDir)
	return r.PID, err
}

// detached is the record of that process; without a number where there is none.
func detached(runDir string) (record, error) {
	entries, err := os.ReadDir(runDir)
	if errors.Is(err, fs.ErrNotExist) {
		return record{}, nil
	}
	if err != nil {
		return record{}, fmt.Errorf("read process records: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return record{}, err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), aside) || !strings.HasSuffix(e.Name(), recordSuffix) {
			continue
		}
		r, err := readRecord(filepath.Join(runDir, e.Name()))
		if errors.Is(err, errNotRecord) || err == nil && r.BootID != boot {
			continue
		}
		if err != nil {
			return record{}, err
		}
		if r.runs() {
			return r, nil
		}
	}
	return record{}, nil
}

// runs says whether the process is there, and has not ended.
func (r record) runs() bool {
	stat, err := readStat(r.PID)
	return err == nil && stat.start == r.StartTime && !stat.ended()
}

// AskDetached tells the process that Detached finds to end, by TERM, and waits until it
// has, for at most grace. That it did not is no error: EndOrphans kills.
func AskDetached(ctx context.Context, runDir string, grace time.Duration) error {
	r, err := detached(runDir)
	if err != nil || r.PID == 0 {
		return err
	}
	if err := r.family().signalMember(r.PID, syscall.SIGTERM); err != nil {
		return err
	}
	over, tick := time.NewTimer(grace), time.NewTicker(5*time.Millisecond)
	defer over.Stop()
	defer tick.Stop()
	for r.runs() {
		select {
		case <-tick.C:
		case <-over.C:
			return nil
		case <-ctx.Done():
			return fmt.Errorf("wait for %s to end: %w", r.Name, ctx.Err())
		}
	}
	return nil
}
