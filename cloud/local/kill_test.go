package local

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"math/rand/v2"
	"popup/cloud/kept"
	"popup/console"
)

// killsName is the environment variable for how many random kills there are.
const killsName = "LOCAL_TEST_KILLS"

func kills(t *testing.T) int {
	t.Helper()
	given := os.Getenv(killsName)
	if given == "" {
		return 10
	}
	n, err := strconv.Atoi(given)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// toys asks for three instances.
func (s *site) toys() []console.Launch {
	s.T.Helper()
	return []console.Launch{s.toy("one"), s.toy("two"), s.toy("three")}
}

// A console is killed at a random moment while it launches, and the next one is asked
// for the same: each instance is there once, and is what was launched first.
func TestConsoleKilledWhileItLaunches(t *testing.T) {
	s := open(t)
	launches := s.toys()
	s.close()
	begun := time.Now()
	_, kill := s.asProcess(nil, order{Launches: launches})
	whole := time.Since(begun)
	kill()
	s.onceEach(launches)
	found := map[int]int{}
	for range kills(t) {
		cmd := s.process(nil, order{Launches: launches})
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Duration(rand.Int64N(int64(whole) * 5 / 4)))
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait() // it was killed
		found[s.onceEach(launches)]++
	}
	t.Logf("a console that launches %d takes %s; so many were there after a kill: %v", len(launches), whole, found)
}

// A console is killed at a random moment while it ends instances: what is listed
// afterwards runs as it did, and of the others nothing is left.
func TestConsoleKilledWhileItEnds(t *testing.T) {
	s := open(t)
	launches := s.toys()
	s.close()
	found := map[int]int{}
	for range kills(t) {
		machines, kill := s.asProcess(nil, order{Launches: launches, End: true})
		<-time.After(time.Duration(rand.Int64N(int64(200 * time.Millisecond))))
		kill()
		s.open()
		for _, m := range machines {
			if !s.has(m.Instance) {
				if left := s.processes(m.Instance); len(left) > 0 {
					t.Errorf("of %s, which is gone, processes %v are left", m.Instance, left)
				}
				continue
			}
			s.Await(m.Address, "hello from the app")
			s.up(m.Instance)
		}
		found[len(s.All())]++
		if names := s.names(); len(names) != len(s.All())+1 { // and the lock
			t.Errorf("%d instances are known, and there is %q", len(s.All()), names)
		}
		for _, m := range machines {
			s.End(m.Instance)
		}
		if left := s.processes(""); len(left) > 0 || !slices.Equal(s.names(), []string{kept.LockName}) {
			t.Errorf("once all were ended there are processes %v and files %q", left, s.names())
		}
		s.close()
	}
	t.Logf("so many were there after a kill: %v", found)
}

// onceEach is the next console, asked for the same: it looks whether each runs once,
// ends them, and returns how many there were when it came.
func (s *site) onceEach(launches []console.Launch) (found int) {
	s.T.Helper()
	s.open()
	before := map[string]console.Machine{}
	for _, m := range s.All() {
		before[m.Instance] = m
	}
	var names []string
	for _, l := range launches {
		m := s.Start(l)
		if b, ok := before[l.Instance]; ok && (b.Address != m.Address || !b.Launched.Equal(m.Launched)) {
			s.T.Errorf("launched again it is %+v, and was %+v", m, b)
		}
		names = append(names, l.Instance)
	}
	for _, name := range names {
		m := s.AwaitState(name, console.MachineRunning, "")
		s.Await(m.Address, "hello from the app")
		s.up(name)
	}
	if n := len(s.All()); n != len(names) || len(s.ups("")) != n {
		s.T.Errorf("%d instances are known, and processes %v run for them; want %d of each", n, s.ups(""), len(names))
	}
	for _, name := range names {
		journal, err := os.ReadFile(filepath.Join(s.opts.Dir, name, rootName, journalName))
		if boots := bytes.Count(journal, []byte(`"event":"boot"`)); err != nil || boots != 1 {
			s.T.Errorf("%s booted %d times, %v", name, boots, err)
		}
		s.End(name)
	}
	if left := s.processes(""); len(left) > 0 || !slices.Equal(s.names(), []string{kept.LockName}) {
		s.T.Errorf("once all were ended there are processes %v and files %q", left, s.names())
	}
	s.close()
	return len(before)
}
