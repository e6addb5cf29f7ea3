package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
)

// verb is the hidden verb. No flag parser of ours takes it for anything else.
const verb = "popup:sandbox"

// self is this binary, also after it was replaced or removed on disk.
const self = "/proc/self/exe"

// The exit codes of the verb: a shell's, and one for a policy that cannot be carried out.
const (
	codePolicy   = 125
	codeCannot   = 126
	codeNotFound = 127
)

// canShim is set once Main was called. Without it the binary, started under the
// verb, would do whatever it does otherwise, such as run its tests again.
var canShim atomic.Bool

// An invocation is what the verb is told on its command line.
type invocation struct {
	Policy *Policy `json:"policy,omitempty"` // nil: keep every right
	Gate   int     `json:"gate,omitempty"`   // a descriptor to wait at; 0: do not wait
}

func (v invocation) argv(program []string) ([]string, error) {
	if !canShim.Load() {
		return nil, errNoMain
	}
	encoded, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode policy: %w", err)
	}
	return append([]string{self, verb, string(encoded)}, program...), nil
}

// decodeInvocation splits args, the argv of a process, when they are the verb's.
func decodeInvocation(args []string) (v invocation, program []string, ok bool, err error) {
	if len(args) < 2 || args[1] != verb {
		return invocation{}, nil, false, nil
	}
	if len(args) < 4 {
		return invocation{}, nil, true, fmt.Errorf("%s is called by popup itself, with a policy and a program", verb)
	}
	if err := json.Unmarshal([]byte(args[2]), &v); err != nil {
		return invocation{}, nil, true, fmt.Errorf("decode policy: %w", err)
	}
	return v, args[3:], true, nil
}

// Main carries out the hidden verb when args, a whole os.Args, are its own. It
// must be called before anything else in main and in TestMain. When handled is
// true the program could not be started: the caller exits with code, which is 127
// when there is no such program, 126 when it cannot be run, and 125 when the
// policy could not be carried out. Why has been said on standard error.
func Main(args []string) (handled bool, code int) {
	canShim.Store(true)
	v, program, ok, err := decodeInvocation(args)
	if !ok {
		return false, 0
	}
	if err == nil {
		err = v.become(program)
	}
	if errors.Is(err, errGateShut) {
		return true, codePolicy // whoever started us is gone: there is nobody to tell
	}
	fmt.Fprintf(os.Stderr, "popup: %v\n", err)
	var failed *execError
	if errors.As(err, &failed) {
		return true, failed.code
	}
	return true, codePolicy
}

// become gives up what the policy does not grant and turns this process into
// the program. It returns only when that failed.
func (v invocation) become(program []string) error {
	// What execve keeps is what the calling thread has.
	runtime.LockOSThread()
	env := os.Environ()
	firstClosed := 3
	if v.Gate != 0 {
		var err error
		if env, err = waitGate(v.Gate); err != nil {
			return err
		}
		firstClosed = v.Gate
	}
	if err := closeOnExec(firstClosed); err != nil {
		return err
	}
	if v.Policy != nil {
		if err := v.Policy.enter(); err != nil {
			return fmt.Errorf("confine %s: %w", program[0], err)
		}
	}
	path, err := findProgram(program[0], env)
	if err != nil {
		return err
	}
	return explainExec(path, syscall.Exec(path, program, env))
}
