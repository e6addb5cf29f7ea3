package vm

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/machine"
	"sync/atomic"
)

// holderVar, when set, makes this program one that holds the machine x of that folder
// until it is killed.
const holderVar = "VM_TEST_HOLDER"

func holdForEver(dir string) int {
	if _, err := hold(context.Background(), dir, "x"); err != nil {
		return 1
	}
	select {}
}

// A paused guest is one that cannot do more than that.
type paused struct {
	is    atomic.Bool
	fails atomic.Pointer[string] // what fails
}

func (p *paused) say(verb string) error {
	if fails := p.fails.Load(); fails != nil && *fails == verb {
		return errors.New("it does not " + verb)
	}
	return nil
}

func (p *paused) Attach(_ context.Context, v machine.Volume) error {
	return p.say("attach " + v.Serial)
}
func (p *paused) Pause(context.Context) error  { p.is.Store(true); return p.say("pause") }
func (p *paused) Resume(context.Context) error { p.is.Store(false); return p.say("resume") }

// await waits until it is paused, or not.
func (p *paused) await(t *testing.T, is bool) {
	t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.Now().Add(time.Minute)
	defer tick.Stop()
	for p.is.Load() != is {
		if time.Now().After(deadline) {
			t.Fatalf("it is paused: %v", !is)
		}
		<-tick.C
	}
}

func controlled(t *testing.T) (*paused, string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vm-") // of a socket's path
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.MkdirAll(runOf(dir, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	p := &paused{}
	c, err := serveControl(filepath.Join(runOf(dir, "x"), controlName), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return p, dir
}

func TestControl(t *testing.T) {
	p, dir := controlled(t)
	letGo, err := hold(t.Context(), dir, "x")
	if err != nil || !p.is.Load() {
		t.Fatalf("it is paused: %v, %v", p.is.Load(), err)
	}
	if err := letGo(); err != nil || p.is.Load() {
		t.Errorf("let go, it is paused: %v, %v", p.is.Load(), err)
	}
	if err := attach(t.Context(), dir, "x", machine.Volume{Serial: "vol-1"}); err != nil {
		t.Error(err)
	}
	for _, fails := range []string{"attach vol-1", "pause", "resume"} {
		p.fails.Store(&fails)
		err := attach(t.Context(), dir, "x", machine.Volume{Serial: "vol-1"})
		if fails != "attach vol-1" {
			if letGo, err = hold(t.Context(), dir, "x"); err == nil {
				err = letGo()
			}
		}
		if err == nil || !strings.Contains(err.Error(), "it does not "+fails) || p.is.Load() {
			t.Errorf("%s: %v; it is paused: %v", fails, err, p.is.Load())
		}
	}
	if _, err := hold(t.Context(), dir, "y"); !errors.Is(err, errNoKeeper) {
		t.Errorf("one that does not run: %v", err)
	}
}

// A console that is killed while it copies a disk leaves no machine paused.
func TestHeldMachineGoesOnWithoutItsConsole(t *testing.T) {
	p, dir := controlled(t)
	console := exec.CommandContext(t.Context(), "/proc/self/exe")
	console.Env = append(os.Environ(), holderVar+"="+dir)
	if err := console.Start(); err != nil {
		t.Fatal(err)
	}
	p.await(t, true)
	if err := console.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = console.Wait() // it was killed
	p.await(t, false)
}
