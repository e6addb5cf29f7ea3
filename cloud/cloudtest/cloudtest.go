// Package cloudtest tells whether a cloud keeps console.Cloud's contract. It knows
// what the contract says, and nothing of any cloud.
package cloudtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"popup/console"
)

// A World is a cloud with nothing in it, and what the suite needs around it. The
// suite ends what it launched.
type World struct {
	// Open opens the cloud as a console does when it starts; what was opened before is
	// closed by then, by Close or by a kill.
	Open func() console.Cloud
	// Close closes what Open returned last.
	Close func()
	// Launch asks for a machine that this cloud can have, with its user-data.
	Launch func(instance string) console.Launch
	// Patience is how long a machine may take to run, or to be gone; 0: a minute.
	Patience time.Duration
}

// Run runs the suite; each part gets a world of its own.
func Run(t *testing.T, open func(t *testing.T) World) {
	for _, part := range []struct {
		name string
		test func(*testing.T, *part)
	}{
		{"CheckStartsNothing", checkStartsNothing},
		{"LaunchRuns", launchRuns},
		{"LaunchAgainIsTheSame", launchAgainIsTheSame},
		{"LaunchAtOnceIsOne", launchAtOnceIsOne},
		{"InstancesAreApart", instancesAreApart},
		{"ConsoleStartsAgain", consoleStartsAgain},
		{"TerminateEnds", terminateEnds},
		{"TerminateNone", terminateNone},
		{"TerminateAtOnce", terminateAtOnce},
		{"CancelledDoesNothing", cancelledDoesNothing},
		{"BadInstanceIsRefused", badInstanceIsRefused},
	} {
		t.Run(part.name, func(t *testing.T) { part.test(t, begin(t, open(t))) })
	}
}

// A part is what a part of the suite works on.
type part struct {
	World
	t     *testing.T
	cloud console.Cloud
}

func begin(t *testing.T, w World) *part {
	t.Helper()
	if w.Patience == 0 {
		w.Patience = time.Minute
	}
	p := &part{World: w, t: t, cloud: w.Open()}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), p.Patience)
		defer cancel()
		machines, err := p.cloud.Machines(ctx)
		if err != nil {
			t.Error(err)
		}
		for _, m := range machines {
			if err := p.cloud.Terminate(ctx, m.Instance); err != nil {
				t.Error(err)
			}
		}
		p.Close()
	})
	return p
}

func (p *part) launch(instance string) console.Machine {
	p.t.Helper()
	m, err := p.cloud.Launch(p.t.Context(), p.Launch(instance))
	if err != nil {
		p.t.Fatal(err)
	}
	if m.Instance != instance || m.ID == "" {
		p.t.Fatalf("launched %+v, want instance %s with an id of the cloud's own", m, instance)
	}
	return m
}

func (p *part) machines() []console.Machine {
	p.t.Helper()
	machines, err := p.cloud.Machines(p.t.Context())
	if err != nil {
		p.t.Fatal(err)
	}
	return machines
}

// listed are the instances that the cloud lists, in order; each comes as often as it does there.
func (p *part) listed() []string {
	p.t.Helper()
	listed := []string{}
	for _, m := range p.machines() {
		listed = append(listed, m.Instance)
	}
	slices.Sort(listed)
	return listed
}

func (p *part) wantListed(want ...string) {
	p.t.Helper()
	if got := p.listed(); !slices.Equal(got, want) {
		p.t.Fatalf("listed are %q, want %q", got, want)
	}
}

// awaitRunning waits until the instance runs.
func (p *part) awaitRunning(instance string) console.Machine {
	p.t.Helper()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(p.Patience)
	defer tick.Stop()
	for {
		var last console.Machine
		for _, m := range p.machines() {
			if m.Instance == instance {
				last = m
			}
		}
		if last.State == console.MachineRunning {
			return last
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("after %s it is %+v, and does not run", p.Patience, last)
		}
		<-tick.C
	}
}

func (p *part) terminate(instance string) {
	p.t.Helper()
	if err := p.cloud.Terminate(p.t.Context(), instance); err != nil {
		p.t.Fatal(err)
	}
}

func checkStartsNothing(t *testing.T, p *part) {
	l := p.Launch("one")
	for _, data := range [][]byte{l.UserData, nil} { // without: nothing was rendered yet
		l.UserData = data
		if err := p.cloud.Check(t.Context(), l); err != nil {
			t.Fatal(err)
		}
	}
	p.wantListed()
}

func launchRuns(t *testing.T, p *part) {
	before := time.Now().Add(-time.Minute) // the cloud's clock is its own
	launched := p.launch("one")
	p.wantListed("one")
	m := p.awaitRunning("one")
	if m.ID != launched.ID || m.Launched.Before(before) || m.Launched.After(time.Now().Add(time.Minute)) {
		t.Errorf("it runs as %+v, and was launched as %+v just now", m, launched)
	}
}

func launchAgainIsTheSame(t *testing.T, p *part) {
	first := p.launch("one")
	l := p.Launch("one")
	l.Event, l.Deployment = "another", "another" // its id alone counts
	again, err := p.cloud.Launch(t.Context(), l)
	if err != nil || again.ID != first.ID || !again.Launched.Equal(first.Launched) {
		t.Errorf("launched again it is %+v, %v; want %+v", again, err, first)
	}
	p.awaitRunning("one")
	if again := p.launch("one"); again.ID != first.ID {
		t.Errorf("once it runs it is %+v; want %+v", again, first)
	}
	p.wantListed("one")
}

func launchAtOnceIsOne(t *testing.T, p *part) {
	var asked sync.WaitGroup
	ids := make([]string, 8)
	for i := range ids {
		asked.Go(func() {
			m, err := p.cloud.Launch(t.Context(), p.Launch("one"))
			if err != nil {
				t.Error(err)
			}
			ids[i] = m.ID
		})
	}
	asked.Wait()
	if slices.Sort(ids); ids[0] != ids[len(ids)-1] {
		t.Errorf("asked at once there are %q", slices.Compact(ids))
	}
	p.wantListed("one")
}

func instancesAreApart(t *testing.T, p *part) {
	names := []string{"one", "one-more", "three.3"}
	var asked sync.WaitGroup
	for _, name := range names {
		asked.Go(func() {
			if _, err := p.cloud.Launch(t.Context(), p.Launch(name)); err != nil {
				t.Error(err)
			}
		})
	}
	asked.Wait()
	p.wantListed(names...)
	seen := map[string]bool{}
	for _, name := range names {
		m := p.awaitRunning(name)
		if seen[m.ID] || m.Address != "" && seen[m.Address] {
			t.Errorf("%+v has what another has", m)
		}
		seen[m.ID], seen[m.Address] = true, true
	}
	p.terminate("one")
	p.wantListed(names[1:]...)
}

func consoleStartsAgain(t *testing.T, p *part) {
	first := p.launch("one")
	running := p.awaitRunning("one")
	p.Close()
	p.cloud = p.Open()
	p.wantListed("one")
	m := p.awaitRunning("one")
	if m.ID != first.ID || m.Address != running.Address || !m.Launched.Equal(running.Launched) {
		t.Errorf("the console after that sees %+v; want %+v", m, running)
	}
	if again := p.launch("one"); again.ID != first.ID {
		t.Errorf("launched again by the console after that it is %+v; want %+v", again, first)
	}
	p.terminate("one")
	p.Close()
	p.cloud = p.Open()
	p.wantListed()
}

func terminateEnds(t *testing.T, p *part) {
	for _, name := range []string{"runs", "starts"} {
		p.launch(name)
		if name == "runs" {
			p.awaitRunning(name)
		}
		p.terminate(name)
		p.wantListed()
		p.terminate(name) // whoever did not hear of it asks again
	}
}

func terminateNone(t *testing.T, p *part) {
	p.launch("one")
	for _, name := range []string{"two", "on", "one1", ""} {
		if err := p.cloud.Terminate(t.Context(), name); err != nil {
			t.Errorf("ending %q, which was never launched: %v", name, err)
		}
	}
	p.wantListed("one")
}

func terminateAtOnce(t *testing.T, p *part) {
	p.launch("one")
	p.awaitRunning("one")
	var asked sync.WaitGroup
	for range 4 {
		asked.Go(func() {
			if err := p.cloud.Terminate(t.Context(), "one"); err != nil {
				t.Error(err)
			}
		})
	}
	asked.Wait()
	p.wantListed()
}

func cancelledDoesNothing(t *testing.T, p *part) {
	p.launch("there")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, launchErr := p.cloud.Launch(ctx, p.Launch("one"))
	_, listErr := p.cloud.Machines(ctx)
	for what, err := range map[string]error{
		"Launch": launchErr, "Machines": listErr, "Terminate": p.cloud.Terminate(ctx, "there"), "Check": p.cloud.Check(ctx, p.Launch("one")),
	} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s by whoever does not wait any more: %v", what, err)
		}
	}
	p.wantListed("there")
}

// What is no instance's id names no file, no tag and no argument.
func badInstanceIsRefused(t *testing.T, p *part) {
	p.launch("one")
	for _, name := range []string{"", ".", "..", "../one", "one/../two", "/tmp/x", "-one", "--", "a b", "a\nb", "a\x00b", "$(id)", ".tmp-x", ".lock", fmt.Sprintf("%0200d", 1)} {
		l := p.Launch("two")
		l.Instance = name
		if m, err := p.cloud.Launch(t.Context(), l); err == nil {
			t.Errorf("%q was launched, as %+v", name, m)
		}
	}
	p.wantListed("one")
	p.awaitRunning("one")
}
