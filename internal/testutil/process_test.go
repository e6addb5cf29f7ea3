package testutil

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

func sh(script string) *exec.Cmd { return exec.Command("sh", "-c", script) }

func TestProcessIsHeard(t *testing.T) {
	t.Parallel()
	p := Start(t, sh("echo one: 1; echo two: 2; echo two: 3; echo ready; exec sleep 60"))
	for prefix, rest := range map[string]string{"two: ": "2", "one: ": "1", "ready": ""} { // in any order
		if got := p.Says(prefix, time.Minute); got != rest {
			t.Errorf("after %q it says %q", prefix, got)
		}
	}
}

// TestProcessThatEndsIsToldWithItsLog, however much it said that nobody asked for.
func TestProcessThatEndsIsToldWithItsLog(t *testing.T) {
	t.Parallel()
	p := Start(t, sh("seq 100000; echo last; seq 100000 >&2; echo why >&2; exit 3"))
	_, err := p.Heard("never", time.Minute)
	if err == nil || !strings.Contains(err.Error(), "exit status 3") || !strings.HasSuffix(err.Error(), "\nwhy\n") || len(err.Error()) > 20<<10 {
		t.Errorf("got %.300v", err)
	}
	if p.Says("last", 0) != "" || p.End(syscall.SIGTERM).ExitCode() != 3 {
		t.Errorf("it ends with %v", p.Ended())
	}
}

func TestProcessIsLate(t *testing.T) {
	t.Parallel()
	p := Start(t, sh("printf unfinished; exec sleep 60"))
	_, err := p.Heard("unfinished", 50*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "does not say") {
		t.Errorf("got %v", err)
	}
	if state := p.End(syscall.SIGTERM); fmt.Sprint(state) != "signal: terminated" {
		t.Errorf("it ends with %v", state)
	}
}

// TestProcessLeavesItsStreamsToAnother, and its end is seen all the same.
func TestProcessLeavesItsStreamsToAnother(t *testing.T) {
	t.Parallel()
	p := Start(t, sh("sleep 30 & echo $!"))
	other := p.Says("", time.Minute)
	t.Cleanup(func() { _ = exec.Command("kill", other).Run() })
	select {
	case <-p.Done():
	case <-time.After(20 * time.Second):
		t.Error("its end is not seen while another has its streams")
	}
}
