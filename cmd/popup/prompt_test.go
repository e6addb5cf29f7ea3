package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// openTerminal is a terminal, and what sits at its other end.
func openTerminal(t *testing.T) (person, terminal *os.File) {
	t.Helper()
	person, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { person.Close() })
	raw, err := person.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	if controlErr := raw.Control(func(fd uintptr) {
		if err = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); err == nil {
			number, err = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); errors.Join(err, controlErr) != nil {
		t.Fatal(err, controlErr)
	}
	terminal, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { terminal.Close() })
	return person, terminal
}

func shows(t *testing.T, terminal *os.File) bool {
	t.Helper()
	mode, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return mode.Lflag&unix.ECHO != 0
}

// waitUnseen waits until a terminal no longer shows what is typed.
func waitUnseen(t *testing.T, terminal *os.File) {
	t.Helper()
	deadline, tick := time.After(10*time.Second), time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for shows(t, terminal) {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("the terminal goes on showing what is typed")
		}
	}
}

// TestPasswordIsNotShown, and the terminal is as before afterwards.
func TestPasswordIsNotShown(t *testing.T) {
	person, terminal := openTerminal(t)
	var typed string
	var failed error
	var asking sync.WaitGroup
	asking.Go(func() {
		typed, failed = prompt{terminal, terminal}.password(t.Context(), "Password: ")
	})
	waitUnseen(t, terminal)
	io.WriteString(person, "hunter2\n")
	asking.Wait()
	if typed != "hunter2" || failed != nil || !shows(t, terminal) {
		t.Errorf("typed %q, %v; it shows what is typed: %v", typed, failed, shows(t, terminal))
	}
	io.WriteString(terminal, "END")
	var shown bytes.Buffer
	for one := make([]byte, 1); !strings.HasSuffix(shown.String(), "END"); {
		if _, err := person.Read(one); err != nil {
			t.Fatal(err)
		}
		shown.Write(one)
	}
	if !strings.HasPrefix(shown.String(), "Password: ") || strings.Contains(shown.String(), "hunter") {
		t.Errorf("the terminal shows %q", shown.String())
	}
}

// TestPasswordThatIsNotTyped: told to stop, the terminal shows again what is typed.
func TestPasswordThatIsNotTyped(t *testing.T) {
	person, terminal := openTerminal(t)
	ctx, cancel := context.WithCancel(t.Context())
	var failed error
	var asking sync.WaitGroup
	asking.Go(func() { _, failed = prompt{terminal, io.Discard}.password(ctx, "Password: ") })
	waitUnseen(t, terminal)
	cancel()
	asking.Wait()
	if !errors.Is(failed, context.Canceled) || !shows(t, terminal) {
		t.Errorf("%v; it shows what is typed: %v", failed, shows(t, terminal))
	}
	io.WriteString(person, "\n") // lets the read end
	if _, err := (prompt{strings.NewReader("secret\n"), io.Discard}).password(t.Context(), ""); err == nil {
		t.Error("a password is read where it may be seen")
	}
}

// TestLineIsReadNoFurther than its end, and is never endless.
func TestLineIsReadNoFurther(t *testing.T) {
	in := strings.NewReader(" fair \r\nsecret\nlast")
	for _, want := range []string{"fair", "secret", "last"} {
		if got, err := (prompt{in, io.Discard}).line(t.Context(), ""); got != want || err != nil {
			t.Errorf("%q, %v; want %q", got, err, want)
		}
	}
	for name, in := range map[string]io.Reader{"nothing": in, "no end": strings.NewReader(strings.Repeat("x", longestLine+1))} {
		if got, err := (prompt{in, io.Discard}).line(t.Context(), ""); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
