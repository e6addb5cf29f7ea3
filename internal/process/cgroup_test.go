package process

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// One that was just killed is in its cgroup for a moment more.
func TestRemovingACgroupWaitsForTheLast(t *testing.T) {
	if !makeTestCgroup(t) {
		return // only root can make them everywhere
	}
	last := exec.Command("sleep", "0.2")
	if err := last.Start(); err != nil {
		t.Fatal(err)
	}
	c := cgroup(filepath.Join(ownCgroup(), cgroupPrefix+"test-"+filepath.Base(t.TempDir())+"-last"))
	if !c.make(last.Process.Pid) {
		t.Fatal("cannot make a cgroup")
	}
	if pids := c.pids(); len(pids) != 1 || pids[0] != last.Process.Pid {
		t.Errorf("in it are %v, want %d", pids, last.Process.Pid)
	}
	if err := errors.Join(c.remove(), last.Wait()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(string(c)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is still there: %v", err)
	}
	if err := c.remove(); err != nil {
		t.Errorf("a second time: %v", err)
	}
}
