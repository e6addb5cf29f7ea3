package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// maxGate bounds what is read at a gate: an environment, which the kernel bounds
// to about as much.
const maxGate = 8 << 20

// errGateShut says that the gate was closed without having been opened.
var errGateShut = errors.New("the gate was shut")

// Gated returns the argv that starts argv behind a gate: a process is there, and
// can be written down, but the program runs only when OpenGate was called on the
// other end of the pipe whose reading end the process has as descriptor fd.
// Should that end be closed before, the program never runs. Descriptors above fd
// are closed. An argv that Policy.Command returned keeps its policy; any other is
// started with the rights of the caller.
func Gated(argv []string, fd int) ([]string, error) {
	if err := checkArgv(argv); err != nil {
		return nil, err
	}
	v, program := invocation{}, argv
	if argv[0] == self {
		decoded, inner, ok, err := decodeInvocation(argv)
		if err != nil {
			return nil, err
		}
		if ok {
			v, program = decoded, inner
		}
	}
	v.Gate = fd
	return v.argv(program)
}

// OpenGate lets the process behind a gate become its program, with env as its
// whole environment, once w is closed. Nothing a stranger chose is in the environment of a
// process that still has rights to lose.
func OpenGate(w io.Writer, env []string) error {
	var message bytes.Buffer
	for _, entry := range env {
		if entry == "" || strings.ContainsRune(entry, 0) {
			return errors.New("open gate: a setting is empty or contains a zero byte, which no program can be given")
		}
		message.WriteString(entry)
		message.WriteByte(0)
	}
	message.WriteByte(0) // an empty entry ends the message: one that was cut off opens nothing
	if _, err := w.Write(message.Bytes()); err != nil {
		return fmt.Errorf("open gate: %w", err)
	}
	return nil
}

// waitGate returns the environment told at the gate. It returns when the other
// end is closed.
func waitGate(fd int) ([]string, error) {
	f := os.NewFile(uintptr(fd), "gate")
	if f == nil {
		return nil, fmt.Errorf("wait at gate: descriptor %d is not one", fd)
	}
	message, err := io.ReadAll(io.LimitReader(f, maxGate))
	if err := errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("wait at gate: %w", err)
	}
	return parseGate(string(message))
}

func parseGate(message string) ([]string, error) {
	entries, whole := strings.CutSuffix(message, "\x00")
	if entries == "" && whole {
		return nil, nil
	}
	entries, ended := strings.CutSuffix(entries, "\x00")
	if !whole || !ended {
		return nil, errGateShut
	}
	return strings.Split(entries, "\x00"), nil
}
