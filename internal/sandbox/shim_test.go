package sandbox

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// gated starts a command behind a gate and returns the gate's other end.
func gated(t *testing.T, argv ...string) (cmd *exec.Cmd, gate *os.File, out *bytes.Buffer) {
	t.Helper()
	reading, writing, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	shim, err := Gated(argv, 3)
	if err != nil {
		t.Fatal(err)
	}
	cmd, out = exec.Command(shim[0], shim[1:]...), &bytes.Buffer{}
	cmd.Env = []string{"OF_THE_SHIM=1"}
	cmd.ExtraFiles = []*os.File{reading}
	cmd.Stdout, cmd.Stderr = out, out
	err = errors.Join(cmd.Start(), reading.Close())
	if err != nil {
		t.Fatal(err)
	}
	return cmd, writing, out
}

func TestGateOpens(t *testing.T) {
	for _, env := range [][]string{nil, {"A=1"}, {"A=1", "B=\xff\n"}} {
		cmd, gate, out := gated(t, "/usr/bin/env", "-0")
		if err := errors.Join(OpenGate(gate, env), gate.Close(), cmd.Wait()); err != nil {
			t.Fatal(err, out)
		}
		got := strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00")
		if out.Len() == 0 {
			got = nil
		}
		if !slices.Equal(got, env) {
			t.Errorf("told %q, the program has %q", env, got)
		}
	}
}

// A gate that is shut, also in the middle of what is told, lets nothing through.
func TestGateShut(t *testing.T) {
	for _, told := range []string{"", "A=1", "A=1\x00", "A=1\x00B="} {
		dir := t.TempDir()
		cmd, gate, out := gated(t, "/usr/bin/touch", filepath.Join(dir, "ran"))
		if _, err := gate.WriteString(told); err != nil {
			t.Fatal(err)
		}
		if err := gate.Close(); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err == nil || cmd.ProcessState.ExitCode() != codePolicy || out.Len() > 0 {
			t.Errorf("told %q it ended with %v and %q", told, err, out)
		}
		if _, err := os.Stat(filepath.Join(dir, "ran")); err == nil {
			t.Errorf("told %q, the program ran", told)
		}
	}
}

func FuzzGate(f *testing.F) {
	f.Add([]byte("A=1\x00B=2"))
	f.Add([]byte(""))
	f.Add([]byte("\x00\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		env := strings.Split(string(text), "\x00")
		var message bytes.Buffer
		if err := OpenGate(&message, env); err != nil {
			if !slices.Contains(env, "") {
				t.Errorf("%q: %v", env, err)
			}
			return
		}
		if got, err := parseGate(message.String()); err != nil || !slices.Equal(got, env) {
			t.Errorf("told %q, understood %q, %v", env, got, err)
		}
		for cut := range message.Len() {
			if got, err := parseGate(message.String()[:cut]); !errors.Is(err, errGateShut) {
				t.Errorf("cut off after %d of %q it is understood as %q, %v", cut, message.String(), got, err)
			}
		}
	})
}

func TestGatedKeepsThePolicy(t *testing.T) {
	policy := Policy{Limits: Limits{Files: 64}}
	confined, err := policy.Command([]string{"program", verb, "x"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		argv, program []string
		policy        *Policy
	}{
		{confined, []string{"program", verb, "x"}, &policy},
		{[]string{"program", "x"}, []string{"program", "x"}, nil},
		{[]string{"program", verb, "{}", "x"}, []string{"program", verb, "{}", "x"}, nil},
	} {
		argv, err := Gated(c.argv, 7)
		if err != nil {
			t.Fatal(err)
		}
		v, program, ok, err := decodeInvocation(argv)
		if err != nil || !ok || v.Gate != 7 || !slices.Equal(program, c.program) {
			t.Errorf("%q becomes %q", c.argv, argv)
		}
		if (v.Policy == nil) != (c.policy == nil) || v.Policy != nil && *v.Policy != *c.policy {
			t.Errorf("%q keeps the policy %+v, want %+v", c.argv, v.Policy, c.policy)
		}
	}
}

func TestDescriptorsAreClosed(t *testing.T) {
	argv, err := Policy{}.Command([]string{"ls", "/proc/self/fd"})
	if err != nil {
		t.Fatal(err)
	}
	leak, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = leak.Close() }()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.ExtraFiles = []*os.File{leak, leak}
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "0\n1\n2\n3\n" { // 3 is the folder itself
		t.Errorf("the program has %q, %v", out, err)
	}
}

// Before Linux 5.11 descriptors are closed one by one.
func TestDescriptorsAreClosedOneByOne(t *testing.T) {
	leak, err := syscall.Dup(0) // without close-on-exec
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = syscall.Close(leak) }()
	leaks := func() bool {
		out, err := exec.Command("ls", "/proc/self/fd").Output()
		if err != nil {
			t.Fatal(err)
		}
		return slices.Contains(strings.Fields(string(out)), fmt.Sprint(leak))
	}
	if !leaks() {
		t.Fatalf("descriptor %d is closed already: nothing would be proven", leak)
	}
	if err := closeOnExecEach(leak); err != nil {
		t.Fatal(err)
	}
	if leaks() {
		t.Errorf("a program has descriptor %d", leak)
	}
}

func TestWithoutMainNothingStarts(t *testing.T) {
	canShim.Store(false)
	defer canShim.Store(true)
	if argv, err := (Policy{}).Command([]string{"true"}); !errors.Is(err, errNoMain) {
		t.Errorf("Command = %q, %v", argv, err)
	}
	if argv, err := Gated([]string{"true"}, 3); !errors.Is(err, errNoMain) {
		t.Errorf("Gated = %q, %v", argv, err)
	}
}

func TestTheVerbByHand(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{verb}, "popup: popup:sandbox is called by popup itself, with a policy and a program\n"},
		{[]string{verb, "{}"}, "popup: popup:sandbox is called by popup itself, with a policy and a program\n"},
		{[]string{verb, "{", "true"}, "popup: decode policy: unexpected end of JSON input\n"},
	} {
		cmd := exec.Command(self, c.args...)
		out, _ := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != codePolicy || string(out) != c.want {
			t.Errorf("%q: code %d, %q; want %q", c.args, cmd.ProcessState.ExitCode(), out, c.want)
		}
	}
	if handled, _ := Main([]string{"popup", "status"}); handled {
		t.Error("another verb was taken for ours")
	}
}

// busybox has other tools than useradd, with other flags.
func TestUserIsMadeWithWhatThereIs(t *testing.T) {
	for _, c := range []struct {
		tools []string
		want  string
	}{
		{[]string{"useradd", "addgroup", "adduser"}, "useradd --system --user-group --no-create-home --home-dir /nonexistent --shell /bin/false --comment an app that popup runs app\n"},
		{[]string{"addgroup", "adduser"}, "addgroup -S app\nadduser -S -D -H -h /nonexistent -s /bin/false -G app app\n"},
		{[]string{"addgroup"}, ""},
		{nil, ""},
	} {
		dir := t.TempDir()
		for _, tool := range c.tools {
			stub := "#!/bin/sh\necho " + tool + " \"$@\" >>" + dir + "/calls\n"
			if err := os.WriteFile(filepath.Join(dir, tool), []byte(stub), 0o755); err != nil {
				t.Fatal(err)
			}
		}
		err := createUser("app", func(name string) (string, bool) {
			_, err := os.Stat(filepath.Join(dir, name))
			return filepath.Join(dir, name), err == nil
		})
		if errors.Is(err, errNoUserTool) != (c.want == "") || err != nil && c.want != "" {
			t.Errorf("%q: %v", c.tools, err)
		}
		calls, _ := os.ReadFile(filepath.Join(dir, "calls")) // none: nothing was called
		if string(calls) != c.want {
			t.Errorf("%q: called\n%swant\n%s", c.tools, calls, c.want)
		}
	}
}
