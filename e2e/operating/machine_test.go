//go:build dqlite

package operating

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
)

const machines = 3

// name is what all consoles are called.
const name = "https://console.example"

// A machine has an address, a folder /srv/console and programs of its own. What is in the
// folder where its commands run is carried between machines.
type machine struct {
	t       testing.TB
	number  int
	disk    string
	carried string
	console *testutil.Process // nil: none runs
}

// network is three machines that have popup-1.
func network(t testing.TB) (all []*machine) {
	t.Helper()
	carried := t.TempDir()
	for n := 1; n <= 2; n++ {
		program := fmt.Sprintf("popup-%d", n)
		must(t, os.Symlink(filepath.Join(programs, program), filepath.Join(carried, program)))
	}
	for n := 1; n <= machines; n++ {
		m := &machine{t: t, number: n, disk: t.TempDir(), carried: carried}
		must(t, os.Mkdir(filepath.Join(m.disk, "console"), 0o700))
		must(t, os.Mkdir(filepath.Join(m.disk, "bin"), 0o755))
		m.do("install -m 755 popup-1 /usr/local/bin/popup")
		all = append(all, m)
	}
	return all
}

func (m *machine) command(ctx context.Context, script string) *exec.Cmd {
	enter := `mount --bind "$1/console" /srv/console && mount --bind "$1/bin" /usr/local/bin && cd "$2" && exec sh -euc "$3"`
	cmd := exec.CommandContext(ctx, "unshare", "--mount", "sh", "-euc", enter, "sh", m.disk, m.carried, script)
	cmd.Env = append(os.Environ(), "PATH=/usr/local/bin:"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// try runs a script on the machine.
func (m *machine) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := m.command(ctx, script)
	cmd.WaitDelay = time.Second // what it left running may hold its output
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// do runs what has to succeed.
func (m *machine) do(script string) string {
	m.t.Helper()
	out, err := m.try(script)
	if err != nil {
		m.t.Fatalf("on machine %d: %v\n%s\n%s", m.number, err, script, out)
	}
	return out
}

// start runs a console until it says that it listens.
func (m *machine) start(script string) {
	m.t.Helper()
	m.console = testutil.Start(m.t, m.command(context.Background(), "exec "+script))
	m.console.Says("listening on ", 2*time.Minute)
	resp, err := m.browser().Get(name + "/sign-in") // whatever it says, it has begun
	must(m.t, err)
	must(m.t, resp.Body.Close())
}

// stop ends the console by a signal, and waits.
func (m *machine) stop(signal syscall.Signal) {
	m.t.Helper()
	if m.console == nil {
		m.t.Fatalf("no console runs on machine %d", m.number)
	}
	select {
	case <-m.console.Done():
		m.t.Fatalf("the console of machine %d ended by itself: %v\n%s", m.number, m.console.Ended(), m.console.Log())
	default:
	}
	if state := m.console.End(signal); signal == syscall.SIGTERM && !state.Success() {
		m.t.Errorf("told to stop, the console of machine %d ends with %v: %s", m.number, state, m.console.Log())
	}
	m.console = nil
}

// left waits until the console ends because it is no member any more.
func (m *machine) left() {
	m.t.Helper()
	select {
	case <-m.console.Done():
		if !m.console.Ended().Success() {
			m.t.Errorf("who left ends with %v: %s", m.console.Ended(), m.console.Log())
		}
	case <-time.After(time.Minute):
		m.t.Fatalf("the console of machine %d left, and does not end\n%s", m.number, m.console.Log())
	}
	m.console = nil
}

// person asks the machine's console.
func (m *machine) person(token string) *testutil.Person {
	return &testutil.Person{HTTP: m.browser(), URL: name, Token: token}
}

// browser reaches the machine's console, whatever the name.
func (m *machine) browser() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, fmt.Sprintf("10.0.0.%d:443", m.number))
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it has one of its own, and nobody else is on this network
}
