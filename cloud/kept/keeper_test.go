package kept

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/console"
	"popup/internal/machine"
)

// A fake is a machine that is as it is told to be.
type fake struct {
	state  machine.State
	err    error
	done   chan struct{}
	closed bool
}

func (f *fake) State() (machine.State, error) { return f.state, f.err }
func (f *fake) Done() <-chan struct{}         { return f.done }
func (f *fake) Close() error                  { f.closed = true; return nil }

// folder is that of a machine that was laid out.
func folder(t *testing.T) Machine {
	t.Helper()
	m := Machine{Path: t.TempDir(), Address: "127.0.0.1:1", Record: Record{Instance: "one", ID: NewID(), Port: 1}}
	text, err := json.Marshal(m.Record)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{RecordName: string(text), UserDataName: "#!/bin/sh"} {
		if err := os.WriteFile(m.At(name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return m
}

// How a machine ended says what is seen of it, and whether it is started again.
func TestKeeperSaysHowItEnded(t *testing.T) {
	const verb = "test:keeper"
	for name, c := range map[string]struct {
		ends   fake
		err    error
		want   Look
		failed int
	}{
		"off":     {ends: fake{state: machine.PoweredOff}, want: Look{console.MachineStopped, "it turned itself off", true}},
		"failed":  {ends: fake{state: machine.Failed, err: errors.New("no memory")}, want: Look{console.MachinePending, "it does not run: it is failed\nno memory", false}, failed: 1},
		"refused": {err: errors.New("no root"), want: Look{console.MachinePending, "it does not run: no root", false}, failed: 1},
	} {
		m, running := folder(t), Look{}
		program := Keeping(m, "popup", verb)
		c.ends.done = make(chan struct{})
		close(c.ends.done)
		handled, code := Keep(append([]string{"popup"}, program.Spec().Argv[1:]...), verb, func(_ context.Context, k *Keeper) (Held, error) {
			if k.ID != m.ID || string(k.UserData) != "#!/bin/sh" || k.Address != m.Address {
				t.Errorf("%s: it keeps %+v", name, k)
			}
			running = program.Look(os.Getpid())
			return &c.ends, c.err
		})
		if !handled || code != c.failed || c.err == nil && !c.ends.closed {
			t.Errorf("%s: it exits with %d, handled %v, closed %v", name, code, handled, c.ends.closed)
		}
		if running.State != console.MachinePending {
			t.Errorf("%s: while it starts it is %+v", name, running)
		}
		if got := program.Look(0); got != c.want {
			t.Errorf("%s: it is %+v; want %+v", name, got, c.want)
		}
	}
}

// What a keeper said that was killed is not so of the next.
func TestKilledKeeperIsNotBelieved(t *testing.T) {
	m := folder(t)
	program := Keeping(m, "popup", "test:keeper")
	k := &Keeper{Machine: m}
	if err := k.write(status{State: stateRunning}); err != nil {
		t.Fatal(err)
	}
	for pid, want := range map[int]Look{
		os.Getpid():     {State: console.MachineRunning},
		os.Getpid() + 1: {State: console.MachinePending, Detail: "it is being started"},
		0:               {State: console.MachinePending, Detail: "it does not run: its keeper was killed"},
	} {
		if got := program.Look(pid); got != want {
			t.Errorf("of process %d it is %+v; want %+v", pid, got, want)
		}
	}
	if err := os.WriteFile(m.At(statusName), []byte("{broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := program.Look(os.Getpid()); got.State != console.MachinePending || got.Over {
		t.Errorf("of a broken status it is %+v", got)
	}
}

func TestKeeperWithoutItsRecord(t *testing.T) {
	m := folder(t)
	if err := os.Remove(m.At(RecordName)); err != nil {
		t.Fatal(err)
	}
	start := func(context.Context, *Keeper) (Held, error) { t.Error("it was started"); return nil, nil }
	for _, args := range [][]string{{"popup", "verb"}, {"popup", "verb", m.Path, "127.0.0.1:1"}, {"popup", "verb", filepath.Join(m.Path, "none"), "127.0.0.1:1"}} {
		if handled, code := Keep(args, "verb", start); !handled || code != 1 {
			t.Errorf("%q exits with %d, %v", args, code, handled)
		}
	}
	if look := Keeping(m, "popup", "verb").Look(0); !strings.Contains(look.Detail, "read record of the machine") {
		t.Errorf("it is %+v", look)
	}
	if handled, _ := Keep([]string{"popup", "up"}, "verb", start); handled {
		t.Error("another verb was taken for this one")
	}
}

// An image is what the machine was started from first, whatever is made by now.
func TestImageStays(t *testing.T) {
	m, image := folder(t), t.TempDir()
	if err := os.Mkdir(filepath.Join(image, "root"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(image, m.At(imageName)); err != nil {
		t.Fatal(err)
	}
	k := &Keeper{Machine: m}
	got, err := k.Image(t.Context(), machine.ImageConfig{Suite: "no-such-suite"})
	if err != nil || got.Dir() != image {
		t.Fatalf("it is %+v, %v", got, err)
	}
	if err := got.Close(); err != nil {
		t.Error(err)
	}
	if err := os.RemoveAll(image); err != nil {
		t.Fatal(err)
	}
	if got, err := k.Image(t.Context(), machine.ImageConfig{}); err == nil || !strings.Contains(err.Error(), "it was removed") {
		t.Errorf("once it is gone it is %+v, %v", got, err)
	}
}
