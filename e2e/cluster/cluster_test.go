//go:build cluster

package cluster

import (
	"cmp"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/web/api"
)

const (
	// usualGap is how long there is no write when the console that leads is killed, as a rule.
	usualGap = 2 * time.Second
	// mostGap is how long there may be none, where the machine does something else as well.
	mostGap = 30 * time.Second
)

// join has a console join by way of another one.
func (s *scene) join(c, by *console) {
	s.Helper()
	token, err := by.popup("cluster-token")
	must(s, err)
	file := filepath.Join(c.disk, "token")
	must(s, os.WriteFile(file, []byte(strings.TrimSpace(token)), 0o600))
	c.start("--join", file)
}

// state is what the first of these consoles that answers says of the cluster.
func (s *scene) state(of []*console) (state api.Cluster, err error) {
	for _, c := range of {
		if err = c.owner.Ask(s.Context(), testutil.Ask{Method: "GET", Path: "/cluster", Out: &state}); err == nil {
			return state, nil
		}
	}
	return state, err
}

// tolerates waits until one of three may be lost.
func (s *scene) tolerates() {
	s.Helper()
	var state api.Cluster
	var err error
	for late := time.After(2 * time.Minute); ; {
		if state, err = s.state(s.consoles); err == nil && state.Tolerates == 1 {
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-late:
			s.Fatalf("three consoles never tolerate one failure: %+v, %v", state, err)
		}
	}
}

// leader waits until one of these consoles leads, by their own word.
func (s *scene) leader(of []*console) *console {
	s.Helper()
	for late := time.After(patience); ; {
		state, err := s.state(of)
		for _, m := range state.Members {
			for _, c := range of {
				if m.Leads && m.Address == c.ip+members {
					return c
				}
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-late:
			s.Fatalf("none of these leads: %+v, %v", state, err)
		}
	}
}

// trouble takes something from the console that leads, until another one has led for a
// while, and sees that writes go on.
func (s *scene) trouble(what string, while time.Duration, take func(leader *console, others []*console) (back func())) {
	s.Helper()
	leader := s.leader(s.consoles)
	others := slices.DeleteFunc(slices.Clone(s.consoles), func(c *console) bool { return c == leader })
	began := time.Now()
	back := take(leader, others)
	next := s.leader(others)
	led := time.Since(began).Round(time.Millisecond)
	<-time.After(while)
	back()
	s.tolerates()
	gap, after := s.registers.gap(began, time.Now())
	s.gaps[what] = append(s.gaps[what], gap)
	s.Logf("%s: no write for %v, %v after it; %s led, and %s said so after %v", what, gap, after, leader.name, next.name, led)
	if gap > mostGap {
		s.Errorf("%s: there was no write for %v", what, gap)
	}
}

// TestCluster takes from three consoles what machines lose, while they are used.
func TestCluster(t *testing.T) {
	s := newScene(t, 3)
	s.tolerates()
	kills, err := strconv.Atoi(cmp.Or(os.Getenv("KILLS"), "20"))
	must(t, err)
	for range kills {
		s.trouble("killed", 2*time.Second, func(leader *console, _ []*console) func() {
			leader.kill()
			return func() { leader.start() }
		})
	}
	for what, ways := range map[string][]direction{"cut off": {in, out}, "hears nothing": {in}, "is not heard": {out}} {
		s.trouble(what, 5*time.Second, func(leader *console, others []*console) func() {
			leader.cut(machines(others), ways...)
			return leader.heal
		})
	}
	s.trouble("its disk stalls", 5*time.Second, func(leader *console, _ []*console) func() { return leader.freeze() })
	// The engine writes on into the segments it has: that may take a while, and it says nothing.
	s.trouble("its disk is full", 5*time.Second, func(leader *console, _ []*console) func() { return leader.fill() })
	s.restart("stopped, all of them", (*console).stop)
	s.restart("killed, all of them", (*console).kill)
	s.trouble("lost for good", 2*time.Second, func(leader *console, others []*console) func() {
		address := leader.ip + members
		leader.kill()
		return func() { s.replace(leader, others[0], address) }
	})
	s.judge()
	if all := s.gaps["killed"]; len(all) >= 5 && median(all) > usualGap {
		t.Errorf("the median time without a write after a kill is %v, more than %v", median(all), usualGap)
	}
}

func machines(of []*console) (all []*machine) {
	for _, c := range of {
		all = append(all, c.machine)
	}
	return all
}

// restart ends all consoles, and starts them.
func (s *scene) restart(what string, end func(*console)) {
	s.Helper()
	began := time.Now()
	var all sync.WaitGroup
	for _, c := range s.consoles {
		all.Go(func() { end(c) })
	}
	all.Wait()
	ended := time.Now()
	for _, c := range s.consoles {
		c.begin()
		all.Go(func() {
			if err := c.listens(); err != nil {
				s.Error(err)
			}
		})
	}
	all.Wait()
	s.tolerates()
	gap, _ := s.registers.gap(began, time.Now())
	s.gaps[what] = append(s.gaps[what], gap)
	s.Logf("%s: no write for %v, of which they took %v to end", what, gap, ended.Sub(began).Round(time.Millisecond))
}

// replace takes a console out that is lost, and has another one join in its place, on a
// machine of its own.
func (s *scene) replace(lost, by *console, address string) {
	s.Helper()
	_, err := by.popup("cluster", "remove", address)
	must(s, err)
	lost.move(newMachine(s.T, len(s.consoles)+1, diskSize))
	s.join(lost, by)
}

// TestOneConsole is the scene without anything being taken.
func TestOneConsole(t *testing.T) {
	s := newScene(t, 1)
	<-time.After(15 * time.Second)
	s.judge()
}
