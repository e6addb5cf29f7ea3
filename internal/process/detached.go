package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
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
	entries, err := os.ReadDir(runDir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read process records: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return 0, err
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
			return 0, err
		}
		if stat, err := readStat(r.PID); err == nil && stat.start == r.StartTime && !stat.ended() {
			return r.PID, nil
		}
	}
	return 0, nil
}
