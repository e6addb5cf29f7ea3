package userdata

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

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

// downloaders are one of each kind the script downloads with.
var downloaders = map[string]distro{"curl": amazon, "wget": ubuntu, "busybox wget": alpine}

func TestDownloadFailures(t *testing.T) {
	for name, d := range downloaders {
		for _, tc := range []struct {
			name    string
			handler http.HandlerFunc
			want    string
		}{
			{"wrong digest", serve("#!/bin/sh\necho evil\n"), "/popup: its SHA-256 is not " + sumOf(fakePopup)},
			{"nothing", serve(""), "its SHA-256 is not "},
			{"404", http.NotFound, "404"},
			{"cut short each time", cutShort, "/popup: "},
			{"refused", nil, "/popup: "},
		} {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				m := newMachine(t, d)
				if name == "wget" { // it goes on by itself where it was cut, until the script's bound
					m.stub("timeout", `shift; exec /usr/bin/timeout 0.3 "$@"`)
				}
				b := release(t, tc.handler, "/popup")
				if tc.handler == nil {
					b.URLs = []string{"http://127.0.0.1:1/popup"} // tcpmux: nobody listens
				}
				ok, said := m.run(rendered(t, notice(t), b))
				if ok {
					t.Fatalf("the script succeeded:\n%s", said)
				}
				for _, want := range []string{tc.want, "cannot download popup; mend that and run this again"} {
					if !strings.Contains(said, want) || !strings.Contains(m.read("var/log/popup-userdata.log"), want) || !strings.Contains(m.read("dev/console"), want) {
						t.Errorf("not said, logged and on the console: %q in\n%s", want, said)
					}
				}
				if got := m.installed(); len(got) != 0 {
					t.Errorf("installed %v", got)
				}
				if calls := m.starts(); calls != nil {
					t.Errorf("started with %v", calls)
				}
				waits := []string{"sleep 0", "sleep 1", "sleep 2", "sleep 4", "sleep 8", "sleep 16", "sleep 32", "sleep 60", "sleep 60", "sleep 60"}
				if diff := cmp.Diff(waits, m.calls("sleep")); diff != "" {
					t.Errorf("waits (-want +got):\n%s", diff)
				}
			})
		}
	}
}

// cutShort promises more than it sends.
func cutShort(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", fmt.Sprint(len(fakePopup)))
	_, _ = w.Write([]byte(fakePopup[:10])) // the connection is cut when this returns
}

func TestDownloadRecovers(t *testing.T) {
	for name, d := range downloaders {
		t.Run(name+"/second URL", func(t *testing.T) {
			b := release(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/gone" {
					http.NotFound(w, r)
					return
				}
				serve(fakePopup)(w, r)
			}, "/gone", "/popup")
			m := newMachine(t, d)
			m.mustRun(rendered(t, notice(t), b))
			if got := m.read("usr/local/bin/popup"); got != fakePopup {
				t.Errorf("installed %q", got)
			}
			if log := m.read("var/log/popup-userdata.log"); !strings.Contains(log, "/gone: ") || !strings.Contains(log, "404") {
				t.Errorf("the log does not tell of the first URL: %s", log)
			}
			if diff := cmp.Diff([]string{"sleep 0"}, m.calls("sleep")); diff != "" {
				t.Errorf("it waited before the second URL: %s", diff)
			}
		})
		t.Run(name+"/interrupted", func(t *testing.T) {
			var requests atomic.Int32
			b := release(t, func(w http.ResponseWriter, r *http.Request) {
				if requests.Add(1) == 1 {
					cutShort(w, r)
					return
				}
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(fakePopup))
			}, "/popup")
			m := newMachine(t, d)
			m.mustRun(rendered(t, notice(t), b))
			if got := m.read("usr/local/bin/popup"); got != fakePopup {
				t.Errorf("installed %q", got)
			}
		})
	}
}

func TestKilledDownloadIsSweptByTheNextRun(t *testing.T) {
	m := newMachine(t, debian)
	begun := make(chan struct{}, 1)
	release1 := release(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(fakePopup)))
		_, _ = w.Write([]byte(fakePopup[:10]))
		w.(http.Flusher).Flush()
		begun <- struct{}{}
		<-r.Context().Done()
	}, "/popup")
	cmd := m.command(rendered(t, notice(t), release1))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	<-begun
	for deadline := time.Now().Add(10 * time.Second); len(m.installed()) == 0 && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // it was killed
	left := m.installed()
	if len(left) != 1 || left[0] == "popup" {
		t.Fatalf("after the kill there is %v; want a leftover under another name", left)
	}
	m.mustRun(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
	if got := m.installed(); len(got) != 1 || got[0] != "popup" {
		t.Errorf("the next run left %v", got)
	}
}

// onlyHome is a server that lost the file: it has a first page only.
func onlyHome(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/" {
		http.NotFound(w, r)
	}
}

func TestExplains(t *testing.T) {
	for name, d := range downloaders {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t, d)
			m.write("proc/net/route", "Iface\tDestination\tGateway\tFlags\neth0\t0000000A\t00000000\t0001\n")
			m.write("proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" ffffffff 00000001 00000000 00200200       lo\n")
			m.stub("getent", "exit 2")
			_, said := m.run(rendered(t, notice(t), release(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Date", "Tue, 01 Jan 2036 00:00:00 GMT")
				onlyHome(w, r)
			}, "/popup")))
			for _, want := range []string{"no default route; check DHCP", "no address for 127.0.0.1:", "; check DNS", ", Tue, 01 Jan 2036 00:00:00 at 127.0.0.1:", "TLS needs the right time"} {
				if strings.Count(said, want) != 1 {
					t.Errorf("%q is not said once:\n%s", want, said)
				}
			}
		})
		t.Run(name+"/nothing wrong", func(t *testing.T) {
			m := newMachine(t, d)
			m.stub("getent", "exit 0")
			_, said := m.run(rendered(t, notice(t), release(t, onlyHome, "/popup")))
			for _, not := range []string{"default route", "no address", "right time"} {
				if strings.Contains(said, not) {
					t.Errorf("%q is said without a reason:\n%s", not, said)
				}
			}
		})
		t.Run(name+"/IPv6 only", func(t *testing.T) {
			m := newMachine(t, d)
			m.write("proc/net/route", "Iface\tDestination\tGateway\tFlags\n")
			m.write("proc/net/ipv6_route", strings.Repeat("0", 32)+" 00 "+strings.Repeat("0", 32)+" 00 fe80000000000000000000000000000001 00000400 00000001 00000000 00000003     eth0\n")
			_, said := m.run(rendered(t, notice(t), release(t, http.NotFound, "/popup")))
			if strings.Contains(said, "default route") {
				t.Errorf("the IPv6 route is not seen:\n%s", said)
			}
		})
	}
}

func TestInstallsCurlWhereThereIsNoDownloader(t *testing.T) {
	for manager, want := range map[string][]string{
		"apt-get": {"apt-get -qq update", "apt-get -qqy install curl ca-certificates"},
		"dnf":     {"dnf -qy install curl"},
		"apk":     {"apk add -q curl"},
		"zypper":  {"zypper -qn in curl"},
	} {
		t.Run(manager, func(t *testing.T) {
			bare := distro{[]string{"dash"}, gnu, "sleep systemctl", "systemd"}
			m := newMachine(t, bare)
			with := newMachine(t, distro{[]string{"dash"}, "curl", "", ""})
			m.stub(manager, `case "$*" in *curl*) `+"/bin/cp '"+with.path+"/curl' '"+m.path+"/curl';; esac")
			m.mustRun(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
			if diff := cmp.Diff(want, m.calls("apt-get", "dnf", "apk", "zypper")); diff != "" {
				t.Error(diff)
			}
			if got := m.read("usr/local/bin/popup"); got != fakePopup {
				t.Errorf("installed %q", got)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		m := newMachine(t, distro{[]string{"dash"}, gnu, "sleep systemctl", "systemd"})
		ok, said := m.run(rendered(t, notice(t), release(t, serve(fakePopup), "/popup")))
		if ok || !strings.Contains(said, "install curl or wget") {
			t.Errorf("succeeded %t:\n%s", ok, said)
		}
	})
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
