package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestOrphansAreEnded(t *testing.T) {
	s := startStarter(t)
	pids := []int{s.pid(t, "leader"), s.pid(t, "child"), s.pid(t, "daemon")}
	s.kill(t)
	for _, pid := range pids {
		if !running(pid) {
			t.Fatalf("process %d ended with its starter: nothing is proven", pid)
		}
	}
	orphans, err := EndOrphans(s.runDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range pids {
		if running(pid) {
			t.Errorf("process %d goes on", pid)
		}
	}
	if len(orphans) != 1 || orphans[0].Name != "app" || orphans[0].PID != pids[0] || orphans[0].Killed < 3 {
		t.Errorf("reported %+v", orphans)
	}
	if left := ls(t, s.runDir()); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if again, err := EndOrphans(s.runDir()); err != nil || len(again) != 0 {
		t.Errorf("a second time: %v, %v", again, err)
	}
}

// When the leader is gone too, its number proves nothing any more.
func TestOrphansWithoutTheirLeaderAreEnded(t *testing.T) {
	t.Run("with cgroups", func(t *testing.T) { orphansWithoutTheirLeader(t) })
	t.Run("without", func(t *testing.T) { orphansWithoutTheirLeader(t, starterBare+"=1") })
}

func orphansWithoutTheirLeader(t *testing.T, env ...string) {
	t.Helper()
	s := startStarter(t, env...)
	leader, child, daemon := s.pid(t, "leader"), s.pid(t, "child"), s.pid(t, "daemon")
	s.kill(t)
	if err := syscall.Kill(leader, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the leader is gone", func() bool { return !running(leader) })
	if _, err := EndOrphans(s.runDir()); err != nil {
		t.Fatal(err)
	}
	if running(child) || running(daemon) {
		t.Error("children of a leader that is gone go on")
	}
}

// A record that does not tell of a running process for certain ends nothing.
func TestARecordOfAnotherProcessTouchesNothing(t *testing.T) {
	for name, change := range map[string]func(*record){
		"another start time": func(r *record) { r.StartTime++ },
		"another boot":       func(r *record) { r.BootID = "00000000-0000-0000-0000-000000000000" },
	} {
		t.Run(name, func(t *testing.T) {
			spec := script(t, `sleep 1000`)
			p := mustStart(t, spec)
			r := readTheRecord(t, spec.RunDir)
			// What is ours beyond doubt is taken out of it: the number alone is left.
			r.Token, r.Cgroup = strings.Repeat("0", 26), ""
			change(&r)
			dir := t.TempDir()
			if _, err := r.write(dir); err != nil {
				t.Fatal(err)
			}
			orphans, err := EndOrphans(dir)
			if err != nil || len(orphans) != 0 {
				t.Errorf("reported %v, %v", orphans, err)
			}
			if !running(p.PID()) {
				t.Error("a process that has the number of an earlier one was killed")
			}
			if left := ls(t, dir); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
	t.Run("the right one", func(t *testing.T) { // so that the others could fail
		spec := script(t, `sleep 1000 & echo $! > child; wait`)
		p := mustStart(t, spec)
		readPID(t, filepath.Join(spec.Dir, "child"))
		r := readTheRecord(t, spec.RunDir)
		r.Token, r.Cgroup = strings.Repeat("0", 26), ""
		dir := t.TempDir()
		if _, err := r.write(dir); err != nil {
			t.Fatal(err)
		}
		if orphans, err := EndOrphans(dir); err != nil || len(orphans) != 1 || orphans[0].Killed != 2 {
			t.Errorf("reported %v, %v", orphans, err)
		}
		waitDone(t, p)
	})
}

func readTheRecord(t *testing.T, dir string) record {
	t.Helper()
	names := ls(t, dir)
	if len(names) != 1 {
		t.Fatalf("records: %q", names)
	}
	r, err := readRecord(filepath.Join(dir, names[0]))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestWhatIsNoRecordIsRemoved(t *testing.T) {
	dir := t.TempDir()
	everybody, err := json.Marshal(record{Name: "app", PID: -1, StartTime: 1, BootID: "x", Token: strings.Repeat("0", 26)})
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"app-1.json": "", "app-2.json": "{", "app-3.json": "[]", "app-4.json": string(everybody), "tmp-5": "half a rec",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "README"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	orphans, err := EndOrphans(dir)
	if err != nil || len(orphans) != 0 {
		t.Errorf("reported %v, %v", orphans, err)
	}
	if left := ls(t, dir); len(left) != 1 || left[0] != "README" {
		t.Errorf("left %q, want what is not ours", left)
	}
	if orphans, err := EndOrphans(filepath.Join(dir, "missing")); err != nil || orphans != nil {
		t.Errorf("a folder that is not there: %v, %v", orphans, err)
	}
	if _, err := EndOrphans(filepath.Join(dir, "README")); err == nil || errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file for a folder: %v", err)
	}
}

// At whatever moment the starter is killed, no program runs on that the next
// start does not find.
func TestKilledAtAnyMoment(t *testing.T) {
	for range 20 {
		s := startStarter(t, starterMany+"=1")
		s.pid(t, "leader")
		time.Sleep(rand.N(60 * time.Millisecond))
		s.kill(t)
		if _, err := EndOrphans(s.runDir()); err != nil {
			t.Fatal(err)
		}
		// A program still at its gate finds it shut; so whatever ran, ran before now.
		for _, pid := range allPIDs() {
			if cwd, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid)); err == nil && cwd == s.dir && running(pid) {
				if environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); len(environ) > 0 {
					t.Errorf("process %d goes on", pid)
				}
			}
		}
	}
}
