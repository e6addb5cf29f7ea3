package sandbox_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/process"
	"popup/internal/sandbox"
)

// targets are what the misbehaving app is set upon.
type targets struct {
	read, write, change, connect, reach []string
	pid                                 int
	setuid, scratch                     string
}

func (g targets) args() []string {
	var args []string
	for _, f := range []struct {
		name  string
		paths []string
	}{{"read", g.read}, {"write", g.write}, {"change", g.change}, {"connect", g.connect}, {"reach", g.reach}} {
		for _, path := range f.paths {
			args = append(args, "-"+f.name, path)
		}
	}
	if g.pid != 0 {
		args = append(args, "-pid", fmt.Sprint(g.pid))
	}
	return append(args, "-setuid", g.setuid, "-scratch", g.scratch, "report")
}

// An attempt is what the misbehaving app says of one.
type attempt struct {
	Name    string
	Allowed bool
	Why     string
	Took    time.Duration
}

// attempts has the misbehaving app try everything on g under p.
func attempts(t *testing.T, p sandbox.Policy, g targets) map[string]attempt {
	t.Helper()
	res, err := runUnder(t, p, append([]string{misbehaving(t)}, g.args()...)...)
	if err != nil {
		t.Fatal(err, res.Output)
	}
	return decodeAttempts(t, res.Output)
}

func decodeAttempts(t *testing.T, output string) map[string]attempt {
	t.Helper()
	var list []attempt
	if err := json.Unmarshal([]byte(output), &list); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	byName := map[string]attempt{}
	for _, a := range list {
		byName[a.Name] = a
	}
	return byName
}

// anInstance lays out what an instance has, and returns what an app must not get at.
func anInstance(t *testing.T, u *sandbox.User) targets {
	t.Helper()
	root := openDir(t)
	etc := makeDir(t, filepath.Join(root, "etc"), 0o700, nil)
	journal := makeDir(t, filepath.Join(root, "journal"), 0o700, nil)
	release := makeDir(t, filepath.Join(root, "service"), 0o755, nil)
	data := makeDir(t, filepath.Join(root, "data"), 0o755, nil)
	run := makeDir(t, filepath.Join(root, "run"), 0o700, nil)
	config := writeFile(t, filepath.Join(etc, "config.yaml"), "secret", 0o600)
	writeFile(t, filepath.Join(journal, "today"), "{}", 0o600)
	control := filepath.Join(run, "control.sock")
	l, err := net.Listen("unix", control)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	popup := exec.Command("sleep", "1000")
	popup.Env = []string{"SECRET=hunter2"}
	if err := popup.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = popup.Process.Kill()
		_ = popup.Wait() // it was killed
	})
	program, err := os.ReadFile(misbehaving(t))
	if err != nil {
		t.Fatal(err)
	}
	return targets{
		read:    []string{config, journal},
		write:   []string{release, data},
		change:  []string{writeFile(t, filepath.Join(release, "index.php"), "<?php", 0o444), writeFile(t, filepath.Join(data, "day"), "1", 0o444)},
		connect: []string{control},
		reach:   metadata,
		pid:     popup.Process.Pid,
		setuid:  writeFile(t, filepath.Join(root, "su"), string(program), 0o755|os.ModeSetuid),
		scratch: makeDir(t, filepath.Join(root, "state"), 0o700, u),
	}
}

// Everything an app must not do is tried by an app that is confined, and to show
// that the attempts are real ones, by root that is not.
func TestMisbehavingAppIsDeniedEverything(t *testing.T) {
	if !isRoot() {
		return // TestLandlockKeepsFromOtherProcesses is what can be had without root
	}
	user := anotherUser(t)
	if !inOwnNetwork(t, "169.254.169.254/32", "fd00:ec2::254/128") {
		return
	}
	serveMetadata(t)
	instance := anInstance(t, user)
	if err := sandbox.CloseMetadata(user.UID); err != nil {
		t.Fatal(err)
	}
	denied := attempts(t, sandbox.Policy{User: user}, instance)
	free := exec.Command(misbehaving(t), instance.args()...)
	out, err := free.Output()
	if err != nil {
		t.Fatal(err)
	}
	allowed := decodeAttempts(t, string(out))
	if len(denied) != 21 || len(allowed) != len(denied) {
		t.Errorf("%d attempts were denied or not, %d in the control; want 21", len(denied), len(allowed))
	}
	for name, a := range denied {
		if a.Allowed {
			t.Errorf("a confined app may: %s", name)
		}
		if control := allowed[name]; !control.Allowed {
			t.Errorf("nothing is proven of %s: not even root may: %s", name, control.Why)
		}
	}
	if t.Failed() {
		t.Logf("confined: %+v", denied)
	}
}

// That a setuid program gives nothing is due to the policy and not to the user.
func TestSetuidProgramGivesNothing(t *testing.T) {
	if !isRoot() {
		return // without root no program can be made setuid root
	}
	user := anotherUser(t)
	instance := anInstance(t, user)
	run := func(argv ...string) string {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: user.UID, Gid: user.GID}}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		return strings.TrimSpace(string(out))
	}
	if got := run(instance.setuid, "euid"); got != "0" {
		t.Fatalf("without the policy it runs as user %s: nothing would be proven", got)
	}
	res, err := runUnder(t, sandbox.Policy{User: user}, instance.setuid, "euid")
	if err != nil || strings.TrimSpace(res.Output) != fmt.Sprint(user.UID) {
		t.Errorf("under the policy it runs as user %q, %v", res.Output, err)
	}
}

func TestMisbehavingAppIsStopped(t *testing.T) {
	user := anotherUser(t)
	start := func(t *testing.T, args ...string) (*process.Process, string) {
		t.Helper()
		state := makeDir(t, filepath.Join(openDir(t), "state"), 0o700, user)
		argv, err := sandbox.Policy{User: user}.Command(append([]string{misbehaving(t)}, args...))
		if err != nil {
			t.Fatal(err)
		}
		p, err := process.Start(testContext(t), process.Spec{Name: "app", Argv: argv, Dir: state, RunDir: t.TempDir(), Grace: 200 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		return p, filepath.Join(state, "pid")
	}
	stop := func(t *testing.T, p *process.Process, pids ...int) {
		t.Helper()
		if err := p.Stop(testContext(t)); err != nil {
			t.Error(err)
		}
		for _, pid := range pids {
			if syscall.Kill(pid, 0) == nil && !isZombie(t, pid) {
				_ = syscall.Kill(pid, syscall.SIGKILL)
				t.Errorf("process %d outlived its stop", pid)
			}
		}
	}
	t.Run("deaf", func(t *testing.T) {
		p, file := start(t, "deaf", "pid")
		stop(t, p, waitForPID(t, p, file))
	})
	t.Run("daemon", func(t *testing.T) {
		p, file := start(t, "daemonize", "pid")
		stop(t, p, waitForPID(t, p, file))
	})
	t.Run("bare daemon", func(t *testing.T) {
		if !isRoot() {
			return // it is found by its cgroup, which only root can make everywhere
		}
		p, file := start(t, "-bare", "daemonize", "pid")
		stop(t, p, waitForPID(t, p, file))
	})
	t.Run("shouting", func(t *testing.T) {
		p, _ := start(t, "shout")
		deadline := time.Now().Add(patience)
		for len(p.Tail()) < 60<<10 && time.Now().Before(deadline) {
			time.Sleep(10 * time.Millisecond)
		}
		stop(t, p)
		if n := len(p.Tail()); n > 64<<10 || n < 60<<10 {
			t.Errorf("%d bytes of its output were kept", n)
		}
	})
}

func waitForPID(t *testing.T, p *process.Process, file string) int {
	t.Helper()
	deadline := time.Now().Add(patience)
	for time.Now().Before(deadline) {
		if text, err := os.ReadFile(file); err == nil && strings.HasSuffix(string(text), "\n") {
			pid := 0
			if _, err := fmt.Sscan(string(text), &pid); err == nil {
				return pid
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
	t.Fatalf("no number in %s; the app printed %q", file, p.Tail())
	return 0
}

func isZombie(t *testing.T, pid int) bool {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	return err != nil || strings.HasPrefix(statusOf(string(text), "State")["State"], "Z")
}
