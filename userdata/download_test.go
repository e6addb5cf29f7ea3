package userdata

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

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

// TestDownloadFromAConsole whose certificate is its own, which nothing vouches for: it is
// taken where the user-data says so, and what came is still the one that is pinned.
func TestDownloadFromAConsole(t *testing.T) {
	for name, d := range downloaders {
		if name == "busybox wget" {
			continue // its own TLS, without the helper that Alpine has for it, cannot speak to Go's
		}
		for _, tc := range []struct {
			name           string
			serves         string
			anyCertificate bool
			want           string // of what is said; empty: it is installed
		}{
			{"vouched for by nobody", fakePopup, false, "/popup: "},
			{"its own", fakePopup, true, ""},
			{"its own, and another file", "#!/bin/sh\necho evil\n", true, "its SHA-256 is not "},
		} {
			t.Run(name+"/"+tc.name, func(t *testing.T) {
				server := httptest.NewTLSServer(serve(tc.serves))
				defer server.Close()
				server.Config.ErrorLog = log.New(io.Discard, "", 0)
				b := release(t, serve(tc.serves), "/popup")
				b.URLs, b.AnyCertificate = []string{server.URL + "/popup"}, tc.anyCertificate
				m := newMachine(t, d)
				ok, said := m.run(rendered(t, notice(t), b))
				if ok != (tc.want == "") || !strings.Contains(said, tc.want) {
					t.Errorf("it is installed: %v, want it said that %q:\n%s", ok, tc.want, said)
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
