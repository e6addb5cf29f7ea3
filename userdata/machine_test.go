package userdata

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

// A distro is how the script finds a system: its shell, its tools, and stubs
// that stand for what a test must not really call.
type distro struct {
	shell []string // argv that a script's file is added to
	tools string   // taken from the machine the test runs on; busybox:NAME is that applet
	stubs string   // answer with success; what they were called with is recorded
	init  string   // systemd, openrc, or empty
}

const (
	gnu     = "cat chmod mv mkdir rm sha256sum date tee uname sed awk timeout setsid getent "
	busybox = "busybox:cat busybox:chmod busybox:mv busybox:mkdir busybox:rm busybox:sha256sum busybox:date busybox:tee " +
		"busybox:uname busybox:sed busybox:awk busybox:timeout busybox:setsid getent "
)

var (
	debian = distro{[]string{"dash"}, gnu + "curl wget", "sleep systemctl apt-get", "systemd"}
	ubuntu = distro{[]string{"dash"}, gnu + "wget", "sleep systemctl apt-get", "systemd"}
	amazon = distro{[]string{"bash"}, gnu + "curl", "sleep systemctl dnf", "systemd"}
	alpine = distro{[]string{"busybox", "sh"}, busybox + "busybox:wget", "sleep openrc-run rc-update rc-service apk", "openrc"}
	plain  = distro{[]string{"busybox", "sh"}, busybox + "curl", "sleep pkill", ""}

	distros = map[string]distro{"debian": debian, "ubuntu": ubuntu, "amazon": amazon, "alpine": alpine, "plain": plain}
)

// A machine is a root folder and a PATH that a script runs with.
type machine struct {
	t     *testing.T
	root  string
	path  string
	argv  string // every program the script called, a line each
	shell []string
	init  string
}

func newMachine(t *testing.T, d distro) *machine {
	t.Helper()
	base := t.TempDir()
	m := &machine{t: t, root: filepath.Join(base, "root"), path: filepath.Join(base, "bin"), argv: filepath.Join(base, "argv"), init: d.init}
	shell, err := exec.LookPath(d.shell[0])
	if err != nil {
		t.Fatalf("this test needs the package of %s: %v", d.shell[0], err)
	}
	m.shell = append([]string{shell}, d.shell[1:]...)
	dirs := []string{"usr/local/bin", "var/log", "dev", "proc/net", "etc/init.d", "etc/systemd/system"}
	if d.init == "systemd" {
		dirs = append(dirs, "run/systemd/system")
	}
	for _, dir := range dirs {
		if err := os.MkdirAll(filepath.Join(m.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.write("proc/net/route", "Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100000A\t0003\n")
	if err := os.Mkdir(m.path, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, tool := range strings.Fields(d.tools) {
		m.tool(tool)
	}
	for _, stub := range strings.Fields(d.stubs) {
		m.stub(stub, "exit 0")
	}
	return m
}

// stub puts a program into the PATH that records how it was called and then does what body says.
func (m *machine) stub(name, body string) {
	m.t.Helper()
	text := fmt.Sprintf("#!/bin/sh\necho \"%s $*\" >>'%s'\n%s\n", name, m.argv, body)
	if err := os.WriteFile(filepath.Join(m.path, name), []byte(text), 0o755); err != nil {
		m.t.Fatal(err)
	}
}

// tool puts a program of this machine into the PATH.
func (m *machine) tool(tool string) {
	m.t.Helper()
	program, applet, isApplet := strings.Cut(tool, ":")
	real, err := exec.LookPath(program)
	if err != nil {
		m.t.Fatalf("this test needs the package of %s: %v", program, err)
	}
	if isApplet {
		m.stub(applet, "exec '"+real+"' "+applet+` "$@"`)
		return
	}
	m.stub(tool, "exec '"+real+`' "$@"`)
}

func (m *machine) write(name, text string) {
	m.t.Helper()
	if err := os.WriteFile(filepath.Join(m.root, name), []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
}

// read is a file below the root, empty when there is none.
func (m *machine) read(name string) string {
	m.t.Helper()
	text, err := os.ReadFile(filepath.Join(m.root, name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		m.t.Fatal(err)
	}
	return string(text)
}

// command is the script, ready to run.
func (m *machine) command(script []byte) *exec.Cmd {
	m.t.Helper()
	file := filepath.Join(m.t.TempDir(), "user-data")
	if err := os.WriteFile(file, script, 0o700); err != nil {
		m.t.Fatal(err)
	}
	cmd := exec.CommandContext(m.t.Context(), m.shell[0], append(m.shell[1:], file)...)
	cmd.Env = []string{"PATH=" + m.path, "POPUP_ROOT=" + m.root}
	return cmd
}

// run runs the script and returns whether it succeeded, and what it said.
func (m *machine) run(script []byte) (ok bool, said string) {
	m.t.Helper()
	var out bytes.Buffer
	cmd := m.command(script)
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		m.t.Fatal(err)
	}
	return err == nil, out.String()
}

// mustRun runs a script that has to succeed. Where it leaves popup in the
// background, it waits until that ran.
func (m *machine) mustRun(script []byte) {
	m.t.Helper()
	want := m.read("popup-ran") + "up\n"
	if ok, said := m.run(script); !ok {
		m.t.Fatalf("the script failed:\n%s", said)
	}
	if m.init != "" {
		return
	}
	for deadline := time.Now().Add(10 * time.Second); m.read("popup-ran") != want; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("popup ran with %q, want %q", m.read("popup-ran"), want)
		}
	}
}

// calls are the recorded calls of the named programs, in order.
func (m *machine) calls(names ...string) []string {
	m.t.Helper()
	text, err := os.ReadFile(m.argv)
	if err != nil {
		m.t.Fatal(err)
	}
	var calls []string
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		for _, name := range names {
			if line == name || strings.HasPrefix(line, name+" ") {
				calls = append(calls, strings.TrimSpace(line))
			}
		}
	}
	return calls
}

// forget drops the recorded calls.
func (m *machine) forget() {
	m.t.Helper()
	if err := os.Truncate(m.argv, 0); err != nil {
		m.t.Fatal(err)
	}
}

// installed is what is in /usr/local/bin.
func (m *machine) installed() []string {
	m.t.Helper()
	entries, err := os.ReadDir(filepath.Join(m.root, "usr/local/bin"))
	if err != nil {
		m.t.Fatal(err)
	}
	names := []string{}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// fakePopup stands for the binary: it writes down that it was started.
const fakePopup = "#!/bin/sh\necho \"$*\" >>\"$POPUP_ROOT/popup-ran\"\n"

// release serves handler, and returns a binary that is found there under paths,
// with fakePopup pinned.
func release(t *testing.T, handler http.HandlerFunc, paths ...string) Binary {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	b := Binary{SHA256: map[string]string{runtime.GOARCH: sumOf(fakePopup)}}
	for _, path := range paths {
		b.URLs = append(b.URLs, server.URL+path)
	}
	return b
}

func sumOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// serve answers with text.
func serve(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(text)) // a client that went away is the test's to notice
	}
}

// rendered is the script format for plan and b.
func rendered(t *testing.T, plan wire.Plan, b Binary) []byte {
	t.Helper()
	text, err := Render(Spec{Plan: plan, Binary: b})
	if err != nil {
		t.Fatal(err)
	}
	return text
}
