package process

import (
	"context"
	"errors"
	"fmt"
)

// A Result is what is known of a program that has ended.
type Result struct {
	Output   string // the last it printed: at most 64 KiB, whole lines
	ExitCode int    // 128 + signal when it was killed
}

// Run starts a program and waits for its end. What it leaves running is ended
// with it. When ctx ends first, the program is killed with all its children, and
// the error wraps the cause. A status other than 0 is an *ExitError. The Result
// holds after an error too.
func Run(ctx context.Context, spec Spec) (Result, error) {
	p, err := Start(ctx, spec)
	if err != nil {
		return Result{}, err
	}
	select {
	case <-p.Done():
	case <-ctx.Done():
		stopErr := p.Stop(ctx)
		why := fmt.Errorf("%s did not end in time: %w", spec.Name, context.Cause(ctx))
		return p.result(), errors.Join(why, stopErr)
	}
	if p.exit.Code != 0 {
		return p.result(), errors.Join(p.exit, p.lateErr)
	}
	return p.result(), p.lateErr
}

func (p *Process) result() Result {
	r := Result{Output: p.Tail(), ExitCode: -1}
	select {
	case <-p.done:
		r.ExitCode = p.exit.Code
	default: // it could not be ended
	}
	return r
}
