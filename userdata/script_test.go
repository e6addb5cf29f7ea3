package userdata

import (
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// started is what each system is told, to start popup or to start it anew.
func started(init, verb string) []string {
	switch init {
	case "systemd":
		return []string{"systemctl daemon-reload", "systemctl -q enable popup", "systemctl --no-block " + verb + " popup"}
	case "openrc":
		return []string{"rc-update add popup", "rc-service popup " + verb}
	}
	if verb == "restart" {
		return []string{"pkill -xf /usr/local/bin/popup up"}
	}
	return nil
}

// starts are the recorded calls that started comes to.
func (m *machine) starts() []string {
	var calls []string
	for _, call := range m.calls("systemctl", "rc-update", "rc-service", "pkill") {
		calls = append(calls, strings.ReplaceAll(call, m.root, ""))
	}
	return calls
}

func TestInstallsAndStarts(t *testing.T) {
	plan := notice(t)
	want, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range distros {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, d)
			m.mustRun(rendered(t, plan, release(t, serve(fakePopup), "/popup-linux-{arch}")))
			if got := m.read("usr/local/bin/popup"); got != fakePopup {
				t.Errorf("installed %q", got)
			}
			if got := m.installed(); len(got) != 1 {
				t.Errorf("beside popup there is %v", got)
			}
			if got := m.read("etc/popup/config.yaml"); got != string(want) {
				t.Errorf("config.yaml (-want +got):\n%s", cmp.Diff(string(want), got))
			}
			for file, mode := range map[string]os.FileMode{
				"usr/local/bin/popup": 0o755, "etc/popup/config.yaml": 0o600, "etc/popup": 0o700 | os.ModeDir, "var/log/popup-userdata.log": 0o600,
			} {
				info, err := os.Stat(filepath.Join(m.root, file))
				if err != nil {
					t.Fatal(err)
				}
				if info.Mode() != mode {
					t.Errorf("%s is %v, want %v", file, info.Mode(), mode)
				}
			}
			if diff := cmp.Diff(started(d.init, "restart"), m.starts()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
			for _, log := range []string{"var/log/popup-userdata.log", "dev/console"} {
				if !strings.HasSuffix(m.read(log), "Z popup: popup is starting; see popup status\n") {
					t.Errorf("%s says %q", log, m.read(log))
				}
			}
		})
	}
}

func TestServiceFiles(t *testing.T) {
	for file, tc := range map[string]struct {
		d     distro
		mode  os.FileMode
		lines []string
	}{
		"etc/systemd/system/popup.service": {debian, 0o644, []string{"ExecStart=/usr/local/bin/popup up", "Restart=always", "RestartSec=5", "KillMode=mixed", "TimeoutStopSec=90", "WantedBy=multi-user.target"}},
		"etc/init.d/popup":                 {alpine, 0o755, []string{"#!/sbin/openrc-run", "supervisor=supervise-daemon", "command=/usr/local/bin/popup", "command_args=up", "respawn_max=0"}},
	} {
		m := newMachine(t, tc.d)
		m.mustRun(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
		got := m.read(file)
		for _, line := range tc.lines {
			if !strings.Contains("\n"+got, "\n"+line+"\n") {
				t.Errorf("%s lacks %q:\n%s", file, line, got)
			}
		}
		info, err := os.Stat(filepath.Join(m.root, file))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != tc.mode {
			t.Errorf("%s is %v, want %v", file, info.Mode(), tc.mode)
		}
	}
}

// The script that cloud-config and MIME carry finds the plan written already.
func TestScriptWithoutPlan(t *testing.T) {
	m := newMachine(t, debian)
	if err := os.Mkdir(filepath.Join(m.root, "etc/popup"), 0o755); err != nil { // as cloud-init makes it
		t.Fatal(err)
	}
	m.write("etc/popup/config.yaml", "plan_version: 1\n")
	b := release(t, serve(fakePopup), "/popup")
	text, err := script(Spec{Binary: b}, "")
	if err != nil {
		t.Fatal(err)
	}
	m.mustRun(text)
	if diff := cmp.Diff(started("systemd", "restart"), m.starts()); diff != "" {
		t.Error(diff)
	}
	if info, err := os.Stat(filepath.Join(m.root, "etc/popup")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("etc/popup is %v (%v), want 0700", info.Mode(), err)
	}
	m.forget()
	m.write("etc/popup/config.yaml", "plan_version: 1\nsettings: {A: b}\n")
	m.mustRun(text)
	if diff := cmp.Diff(started("systemd", "restart"), m.starts()); diff != "" {
		t.Errorf("after a change of the plan: %s", diff)
	}
}

func TestSecondRunIsHarmless(t *testing.T) {
	for name, d := range distros {
		t.Run(name, func(t *testing.T) {
			var requests atomic.Int32
			b := release(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				serve(fakePopup)(w, r)
			}, "/popup")
			m := newMachine(t, d)
			text := rendered(t, notice(t), b)
			m.mustRun(text)
			before := m.inodes()
			m.forget()
			m.mustRun(text)
			if diff := cmp.Diff(before, m.inodes()); diff != "" {
				t.Errorf("files were written again:\n%s", diff)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d downloads, want 1", n)
			}
			if diff := cmp.Diff(started(d.init, "start"), m.starts()); diff != "" {
				t.Errorf("calls of the second run (-want +got):\n%s", diff)
			}

			m.forget()
			plan := notice(t)
			plan.Settings = map[string]string{"TITLE": "changed"}
			m.mustRun(rendered(t, plan, b))
			if diff := cmp.Diff(started(d.init, "restart"), m.starts()); diff != "" {
				t.Errorf("calls after a change of the plan (-want +got):\n%s", diff)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d downloads, want 1", n)
			}
		})
	}
}

// inodes of what a second run leaves alone.
func (m *machine) inodes() map[string]uint64 {
	m.t.Helper()
	inodes := map[string]uint64{}
	for _, name := range []string{"usr/local/bin/popup", "etc/popup/config.yaml", "etc/systemd/system/popup.service", "etc/init.d/popup"} {
		info, err := os.Stat(filepath.Join(m.root, name))
		if err != nil {
			continue // another system's
		}
		inodes[name] = info.Sys().(*syscall.Stat_t).Ino
	}
	return inodes
}

func TestNewBinaryReplacesTheOldAndRestarts(t *testing.T) {
	m := newMachine(t, debian)
	m.mustRun(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
	m.forget()
	const newer = fakePopup + "# newer\n"
	b := release(t, serve(newer), "/popup")
	b.SHA256[runtime.GOARCH] = sumOf(newer)
	m.mustRun(rendered(t, notice(t), b))
	if got := m.read("usr/local/bin/popup"); got != newer {
		t.Errorf("installed %q", got)
	}
	if diff := cmp.Diff(started("systemd", "restart"), m.starts()); diff != "" {
		t.Error(diff)
	}
}

func TestOtherArchitecture(t *testing.T) {
	m := newMachine(t, debian)
	m.stub("uname", "echo riscv64")
	ok, said := m.run(rendered(t, notice(t), binary()))
	if ok || !strings.Contains(said, "this is for amd64 and arm64, not riscv64") {
		t.Errorf("succeeded %t:\n%s", ok, said)
	}
}

func TestChoosesTheArchitecture(t *testing.T) {
	for machine, arch := range map[string]string{"x86_64": "amd64", "aarch64": "arm64"} {
		m := newMachine(t, debian)
		m.stub("uname", "echo "+machine)
		b := release(t, func(w http.ResponseWriter, r *http.Request) {
			serve("for "+strings.TrimPrefix(r.URL.Path, "/popup-linux-"))(w, r)
		}, "/popup-linux-{arch}")
		b.SHA256 = map[string]string{"amd64": sumOf("for amd64"), "arm64": sumOf("for arm64")}
		m.mustRun(rendered(t, notice(t), b))
		if got := m.read("usr/local/bin/popup"); got != "for "+arch {
			t.Errorf("%s got the popup %s", machine, got)
		}
	}
}

// A text that arrived cut short does nothing at all.
func TestCutShortDoesNothing(t *testing.T) {
	text := rendered(t, notice(t), release(t, serve(fakePopup), "/popup"))
	whole := len(strings.TrimRight(string(text), ")\n"))
	for _, d := range []distro{debian, amazon, alpine} {
		for _, n := range []int{whole, whole / 2, whole / 3} {
			m := newMachine(t, d)
			if ok, _ := m.run(text[:n]); ok {
				t.Errorf("%v succeeded on %d bytes of %d", d.shell, n, len(text))
			}
			if _, err := os.Stat(m.argv); err == nil {
				t.Errorf("%v on %d bytes of %d called %v", d.shell, n, len(text), m.calls("mkdir", "date", "cat"))
			}
		}
	}
}

func TestNoRights(t *testing.T) {
	m := newMachine(t, debian)
	m.stub("mkdir", "echo 'mkdir: permission denied' >&2; exit 1")
	ok, said := m.run(rendered(t, notice(t), binary()))
	if ok || !strings.Contains(said, "run this as root") {
		t.Errorf("succeeded %t:\n%s", ok, said)
	}
}

// Anybody may read the arguments of a process.
func TestNoSecretInArguments(t *testing.T) {
	for name, d := range distros {
		t.Run(name, func(t *testing.T) {
			plan := notice(t)
			plan.Settings = map[string]string{"TOKEN": "hunter2"}
			m := newMachine(t, d)
			text := rendered(t, plan, release(t, serve(fakePopup), "/popup"))
			m.mustRun(text)
			argv, err := os.ReadFile(m.argv)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(m.read("etc/popup/config.yaml"), "hunter2") || !strings.Contains(string(argv), "sha256sum") {
				t.Fatal("the test looks in the wrong place")
			}
			for name, text := range map[string]string{"arguments": string(argv), "log": m.read("var/log/popup-userdata.log"), "console": m.read("dev/console")} {
				if strings.Contains(text, "hunter2") {
					t.Errorf("the %s hold the secret", name)
				}
			}
		})
	}
}

// A plan that looks like shell stays text.
func TestPlanIsNotRun(t *testing.T) {
	plan := notice(t)
	plan.Settings = awkward
	want, err := EncodePlan(plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []distro{debian, amazon, alpine} {
		m := newMachine(t, d)
		m.stub("reboot", "exit 0")
		m.mustRun(rendered(t, plan, release(t, serve(fakePopup), "/popup")))
		if diff := cmp.Diff(string(want), m.read("etc/popup/config.yaml")); diff != "" {
			t.Errorf("%v: %s", d.shell, diff)
		}
		if calls := m.calls("reboot"); calls != nil {
			t.Errorf("%v called %v", d.shell, calls)
		}
	}
}

func TestStopsAtTheFirstFailure(t *testing.T) {
	for _, tool := range []string{"mv", "chmod", "sha256sum", "systemctl"} {
		m := newMachine(t, debian)
		m.stub(tool, "exit 1")
		ok, said := m.run(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
		if ok || strings.Contains(said, "popup is starting") || m.read("etc/popup/started") != "" {
			t.Errorf("with a failing %s it went on:\n%s", tool, said)
		}
	}
}
