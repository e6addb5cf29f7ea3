package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// A prompt asks whoever is there, beside what is printed.
type prompt struct {
	in  io.Reader
	out io.Writer
}

// longestLine bounds what somebody types, in bytes.
const longestLine = 4 << 10

// line asks for a line, and reads no further.
func (p prompt) line(ctx context.Context, question string) (string, error) {
	fmt.Fprint(p.out, question)
	return within(ctx, func() (string, error) {
		var line strings.Builder
		for one := make([]byte, 1); line.Len() < longestLine; {
			n, err := p.in.Read(one)
			if n > 0 && one[0] != '\n' {
				line.WriteByte(one[0])
			}
			if n > 0 && one[0] == '\n' || errors.Is(err, io.EOF) && line.Len() > 0 {
				return strings.TrimSpace(line.String()), nil
			}
			if err != nil {
				return "", fmt.Errorf("read what you type: %w", err)
			}
		}
		return "", errors.New("that is too long for a line")
	})
}

// terminal is where somebody can type unseen; false: nowhere.
func (p prompt) terminal() (fd int, ok bool) {
	file, ok := p.in.(*os.File)
	if !ok {
		return 0, false
	}
	fd = int(file.Fd())
	return fd, term.IsTerminal(fd)
}

// password asks without showing what is typed.
func (p prompt) password(ctx context.Context, question string) (string, error) {
	fd, ok := p.terminal()
	if !ok {
		return "", errors.New("there is no terminal at which to ask for a password")
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", fmt.Errorf("ask for a password: %w", err)
	}
	fmt.Fprint(p.out, question)
	typed, err := within(ctx, func() ([]byte, error) { return term.ReadPassword(fd) })
	fmt.Fprintln(p.out)
	if err != nil { // it may be left as it is while somebody types
		return "", fmt.Errorf("ask for a password: %w", errors.Join(err, term.Restore(fd, before)))
	}
	return string(typed), nil
}
