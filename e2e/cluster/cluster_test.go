//go:build cluster

package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/web/api"
)

const (
	// kills is how often the console that leads is killed.
	kills = 20
	// mostGap is how long there may be no write when one of three consoles is lost. On a
	// machine that has time it is about 1 s; one that does everything for three may not have.
	mostGap = 10 * time.Second
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

// state is what the first console that answers says of the cluster.
func (s *scene) state() (state api.Cluster, err error) {
	for _, c := range s.consoles {
		if err = s.registers.ask(c, ask{method: "GET", path: "/cluster", out: &state}); err == nil {
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
		if state, err = s.state(); err == nil && state.Tolerates == 1 {
			return
		}
		select {
		case <-time.After(500 * time.Millisecond):
		case <-late:
			s.Fatalf("three consoles never tolerate one failure: %+v, %v", state, err)
		}
	}
}

// leader is the console that leads, and the others.
func (s *scene) leader() (leader *console, others []*console) {
	s.Helper()
	for late := time.After(time.Minute); ; {
		state, err := s.state()
		for _, m := range state.Members {
			for i, c := range s.consoles {
				if m.Leads && m.Address == c.ip+members {
					return c, slices.Delete(slices.Clone(s.consoles), i, i+1)
				}
			}
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-late:
			s.Fatalf("nobody leads: %+v, %v", state, err)
		}
	}
}

// trouble takes something from the console that leads, for a while, and sees that writes
// go on.
func (s *scene) trouble(what string, away time.Duration, take func(leader *console, others []*console) (back func())) {
	s.Helper()
	leader, others := s.leader()
	began := time.Now()
	back := take(leader, others)
	<-time.After(away)
	next, _ := s.leader()
	back()
	s.tolerates()
	gap, after := s.registers.gap(began, time.Now())
	s.gaps[what] = append(s.gaps[what], gap)
	s.Logf("%s: no write for %v, %v after it; %s led, then %s", what, gap, after, leader.name, next.name)
	if gap > mostGap {
		s.Errorf("%s: there was no write for %v", what, gap)
	}
}

// TestCluster takes from three consoles what machines lose, while they are used.
func TestCluster(t *testing.T) {
	s := newScene(t, 3)
	s.tolerates()
	for range kills {
		s.trouble("killed", 2*time.Second, func(leader *console, _ []*console) func() {
			leader.kill()
			return func() { leader.start() }
		})
	}
	for what, ways := range map[string][]direction{"cut off": {in, out}, "hears nothing": {in}, "is not heard": {out}} {
		s.trouble(what, 6*time.Second, func(leader *console, others []*console) func() {
			leader.cut(machines(others), ways...)
			return leader.heal
		})
	}
	s.trouble("its disk stalls", 8*time.Second, func(leader *console, _ []*console) func() { return leader.freeze() })
	s.trouble("its disk is full", 20*time.Second, func(leader *console, _ []*console) func() { return leader.fill() })
	s.restart("stopped, all of them", (*console).stop)
	s.restart("killed, all of them", (*console).kill)
	s.trouble("lost for good", 2*time.Second, func(leader *console, others []*console) func() {
		address := leader.ip + members
		leader.kill()
		return func() { s.replace(leader, others[0], address) }
	})
	s.judge()
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
		is, over := c.begin()
		all.Go(func() {
			if err := c.await(is, over); err != nil {
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
