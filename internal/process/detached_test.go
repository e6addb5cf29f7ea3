package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestDetachedOutlivesItsStarter(t *testing.T) {
	t.Run("with cgroups", func(t *testing.T) { detachedOutlives(t) })
	t.Run("without", func(t *testing.T) { detachedOutlives(t, starterBare+"=1") })
}

func detachedOutlives(t *testing.T, env ...string) {
	t.Helper()
	s := startStarter(t, append(env, starterDetach+"=1")...)
	leader, child := s.pid(t, "leader"), s.pid(t, "child")
	for _, when := range []string{"while its starter runs", "after its starter was killed"} {
		if pid, err := Detached(s.runDir()); err != nil || pid != leader {
			t.Fatalf("%s it is process %d, %v; want %d", when, pid, err, leader)
		}
		s.kill(t)
	}
	if orphans, err := EndOrphans(s.runDir()); err != nil || len(orphans) != 1 {
		t.Fatalf("ended %v, %v", orphans, err)
	}
	if running(leader) || running(child) {
		t.Error("it goes on though it was ended")
	}
	if pid, err := Detached(s.runDir()); err != nil || pid != 0 {
		t.Errorf("once it was ended it is process %d, %v", pid, err)
	}
}

// A console lives for years, and its instances come and go.
func TestDetachedLeavesNoZombie(t *testing.T) {
	spec := script(t, "echo $$ > pid; exec sleep 1000")
	if err := Detach(testContext(t), spec, openOutput(t)); err != nil {
		t.Fatal(err)
	}
	pid := readPID(t, filepath.Join(spec.Dir, "pid"))
	if orphans, err := EndOrphans(spec.RunDir); err != nil || len(orphans) != 1 {
		t.Fatalf("ended %v, %v", orphans, err)
	}
	eventually(t, "the kernel knows no such process", func() bool { _, err := readStat(pid); return err != nil })
}

func TestDetachedPrintsToItsOutput(t *testing.T) {
	spec, output := script(t, "echo said; echo and this >&2"), openOutput(t)
	if err := Detach(testContext(t), spec, output); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is printed", func() bool {
		text, err := os.ReadFile(output.Name())
		return err == nil && string(text) == "said\nand this\n"
	})
	if _, err := EndOrphans(spec.RunDir); err != nil {
		t.Error(err)
	}
}

func TestDetachRefuses(t *testing.T) {
	for want, change := range map[string]func(*Spec){
		"must be written down": func(s *Spec) { s.RunDir = "" },
		"write process record": func(s *Spec) { s.RunDir = filepath.Join(s.RunDir, "none") },
		"its name may have":    func(s *Spec) { s.Name = "../x" },
		"no program is named":  func(s *Spec) { s.Argv = nil },
	} {
		spec := script(t, "echo ran > ran")
		change(&spec)
		if err := Detach(testContext(t), spec, openOutput(t)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v; want %q", err, want)
		}
		if left := ls(t, spec.Dir); len(left) != 0 {
			t.Errorf("%s: it ran all the same", want)
		}
	}
}

// A record whose number is another process's by now, or that is from before a
// restart, tells of nothing that runs.
func TestDetachedKnowsItsOwn(t *testing.T) {
	for name, change := range map[string]func(*record){
		"as it was":     func(*record) {},
		"another start": func(r *record) { r.StartTime++ },
		"another boot":  func(r *record) { r.BootID = "0" },
	} {
		p, runDir := mustStart(t, script(t, "exec sleep 1000")), t.TempDir()
		r, err := newRecord("app", p.PID())
		if err != nil {
			t.Fatal(err)
		}
		want := p.PID()
		if change(&r); name != "as it was" {
			want = 0
		}
		if _, err := r.write(runDir); err != nil {
			t.Fatal(err)
		}
		if pid, err := Detached(runDir); err != nil || pid != want {
			t.Errorf("%s: process %d, %v; want %d", name, pid, err, want)
		}
	}
}

func TestAskDetached(t *testing.T) {
	for _, c := range []struct {
		name, script string
		grace        time.Duration
		ends         bool
	}{
		{"ends when it is told to", "trap 'echo told > told; exit' TERM; echo $$ > pid; while :; do sleep 0.01; done", time.Minute, true},
		{"does not", "trap '' TERM; echo $$ > pid; while :; do sleep 0.01; done", 50 * time.Millisecond, false},
	} {
		spec := script(t, c.script)
		if err := Detach(testContext(t), spec, openOutput(t)); err != nil {
			t.Fatal(err)
		}
		pid := readPID(t, filepath.Join(spec.Dir, "pid"))
		if err := AskDetached(testContext(t), spec.RunDir, c.grace); err != nil || running(pid) == c.ends {
			t.Errorf("%s: it runs: %v, %v", c.name, running(pid), err)
		}
		if _, err := os.Stat(filepath.Join(spec.Dir, "told")); (err == nil) != c.ends {
			t.Errorf("%s: it was told: %v", c.name, err == nil)
		}
		if _, err := EndOrphans(spec.RunDir); err != nil {
			t.Error(err)
		}
		if err := AskDetached(testContext(t), spec.RunDir, time.Minute); err != nil {
			t.Errorf("%s: nobody is there, %v", c.name, err)
		}
	}
}

func openOutput(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "output"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}
