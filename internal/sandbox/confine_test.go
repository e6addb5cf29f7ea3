package sandbox_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"popup/internal/sandbox"
)

// statusOf is the named fields of a /proc/PID/status.
func statusOf(text string, names ...string) map[string]string {
	fields := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(line, ":")
		for _, want := range names {
			if name == want {
				fields[name] = strings.Join(strings.Fields(value), " ")
			}
		}
	}
	return fields
}

func TestConfinedProgramHasNoRights(t *testing.T) {
	const none = "0000000000000000"
	want := map[string]string{"NoNewPrivs": "1", "CapInh": none, "CapPrm": none, "CapEff": none, "CapAmb": none, "Umask": "0027"}
	policy := sandbox.Policy{User: anotherUser(t)}
	names := []string{"NoNewPrivs", "CapInh", "CapPrm", "CapEff", "CapAmb", "Umask"}
	if u := policy.User; u != nil {
		want["CapBnd"] = none // only who has rights can give these up
		want["Uid"] = strings.TrimSpace(strings.Repeat(fmt.Sprint(u.UID, " "), 4))
		want["Gid"] = strings.TrimSpace(strings.Repeat(fmt.Sprint(u.GID, " "), 4))
		want["Groups"] = fmt.Sprint(u.GID)
		names = append(names, "CapBnd", "Uid", "Gid", "Groups")
	}
	res, err := runUnder(t, policy, "cat", "/proc/self/status")
	if err != nil {
		t.Fatal(err, res.Output)
	}
	got := statusOf(res.Output, names...)
	for name, value := range want {
		if got[name] != value {
			t.Errorf("%s is %q, want %q", name, got[name], value)
		}
	}
}

// A unit may give popup a right without making it root. The app does not get it.
func TestAmbientCapabilitiesAreNotHandedOn(t *testing.T) {
	if !isRoot() {
		return // only root has rights to hand on
	}
	user := ensureTestUser(t)
	ambient := func(argv ...string) map[string]string {
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.SysProcAttr = &syscall.SysProcAttr{
			Credential:  &syscall.Credential{Uid: user.UID, Gid: user.GID},
			AmbientCaps: []uintptr{unix.CAP_NET_BIND_SERVICE},
		}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatal(err, string(out))
		}
		return statusOf(string(out), "CapInh", "CapPrm", "CapEff", "CapAmb")
	}
	argv, err := sandbox.Policy{}.Command([]string{"/usr/bin/cat", "/proc/self/status"})
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range ambient("/usr/bin/cat", "/proc/self/status") {
		if value != "0000000000000400" {
			t.Fatalf("%s is %s without the policy: nothing would be proven", name, value)
		}
	}
	for name, value := range ambient(argv...) {
		if value != "0000000000000000" {
			t.Errorf("%s is %s", name, value)
		}
	}
}

// Root without a user to become is root by name only.
func TestConfinedRootHasNoCapabilities(t *testing.T) {
	dir := openDir(t)
	foreign := makeDir(t, filepath.Join(dir, "foreign"), 0o700, nil)
	if isRoot() {
		if err := os.Chown(foreign, 12345, 12345); err != nil {
			t.Fatal(err)
		}
	} else if err := os.Chmod(foreign, 0); err != nil {
		t.Fatal(err)
	}
	res, err := runUnder(t, sandbox.Policy{}, "ls", foreign)
	if err == nil {
		t.Errorf("it could read another's folder: %q", res.Output)
	}
	if isRoot() {
		if _, err := os.ReadDir(foreign); err != nil {
			t.Errorf("so can we not: %v", err)
		}
	}
}

func TestLimits(t *testing.T) {
	res, err := runUnder(t, sandbox.Policy{User: anotherUser(t), Limits: sandbox.Limits{Files: 64, Processes: 100}}, "cat", "/proc/self/limits")
	if err != nil {
		t.Fatal(err, res.Output)
	}
	want := map[string]string{"Max open files": "64 64 files", "Max processes": "100 100 processes", "Max core file size": "0 0 bytes"}
	for line := range strings.Lines(res.Output) {
		for name, value := range want {
			if rest, ok := strings.CutPrefix(line, name); ok {
				if got := strings.Join(strings.Fields(rest), " "); got != value {
					t.Errorf("%s: %s, want %s", name, got, value)
				}
				delete(want, name)
			}
		}
	}
	if len(want) > 0 {
		t.Errorf("not seen: %v in %s", want, res.Output)
	}
}

func TestLimitsThatCannotBeHadAreSaid(t *testing.T) {
	res, _ := runUnder(t, sandbox.Policy{User: anotherUser(t), Limits: sandbox.Limits{Files: 1 << 60}}, "true")
	if res.ExitCode != 125 || !strings.Contains(res.Output, "popup: confine true: limit open files to 1152921504606846976: operation not permitted") {
		t.Errorf("code %d: %s", res.ExitCode, res.Output)
	}
}

// Programs such as php-fpm open their output once more by its name.
func TestOutputCanBeOpenedAgain(t *testing.T) {
	res, err := runUnder(t, sandbox.Policy{User: anotherUser(t)}, "sh", "-c", "echo out >/dev/stdout; echo err >/dev/stderr")
	if err != nil || res.Output != "out\nerr\n" {
		t.Errorf("%q, %v", res.Output, err)
	}
}

func TestWithoutRootNobodyBecomesAnother(t *testing.T) {
	other := sandbox.User{Name: "somebody", UID: 54321, GID: 54321}
	argv, err := sandbox.Policy{User: &other}.Command([]string{"true"})
	if err != nil {
		t.Fatal(err)
	}
	// Where we are root, the inner one of two is not.
	res, _ := runUnder(t, sandbox.Policy{User: anotherUser(t)}, argv...)
	if res.ExitCode != 125 || res.Output != "popup: confine true: become user somebody: only root may run a program as another user\n" {
		t.Errorf("code %d: %s", res.ExitCode, res.Output)
	}
}

func TestCommandSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		policy sandbox.Policy
		argv   []string
		want   string
	}{
		{sandbox.Policy{}, nil, "start program: no program is named"},
		{sandbox.Policy{}, []string{""}, "start program: no program is named"},
		{sandbox.Policy{}, []string{"true", "\x00"}, `start "true": an argument contains a zero byte`},
		{sandbox.Policy{User: &sandbox.User{Name: "toor"}}, []string{"true"}, `sandbox true: user "toor" is root`},
	} {
		argv, err := c.policy.Command(c.argv)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %q, %v; want %q", c.argv, argv, err, c.want)
		}
	}
}
