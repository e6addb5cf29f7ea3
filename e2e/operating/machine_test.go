//go:build dqlite

package operating

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
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
	log     testutil.Buffer
	claims  chan string // the links that its console announced
	console *exec.Cmd   // nil: none runs
	ended   chan error
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
		m := &machine{t: t, number: n, disk: t.TempDir(), carried: carried, claims: make(chan string, 20)}
		must(t, os.Mkdir(filepath.Join(m.disk, "console"), 0o700))
		must(t, os.Mkdir(filepath.Join(m.disk, "bin"), 0o755))
		m.do("install -m 755 popup-1 /usr/local/bin/popup")
		t.Cleanup(func() {
			if m.console != nil {
				_ = m.console.Process.Kill()
				<-m.ended
			}
			if t.Failed() {
				text := m.log.String()
				t.Logf("the console of machine %d said:\n%s", m.number, text[max(0, len(text)-4000):])
			}
		})
		all = append(all, m)
	}
	return all
}

func (m *machine) command(script string) *exec.Cmd {
	enter := `mount --bind "$1/console" /srv/console && mount --bind "$1/bin" /usr/local/bin && cd "$2" && exec sh -euc "$3"`
	cmd := exec.CommandContext(m.t.Context(), "unshare", "--mount", "sh", "-euc", enter, "sh", m.disk, m.carried, script)
	cmd.Env = append(os.Environ(), "PATH=/usr/local/bin:"+os.Getenv("PATH"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// try runs a script on the machine.
func (m *machine) try(script string) (string, error) {
	ctx, cancel := context.WithTimeout(m.t.Context(), 3*time.Minute)
	defer cancel()
	cmd := m.command(script)
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
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
	m.console, m.ended = m.command("exec "+script), make(chan error, 1)
	m.console.Stderr = &m.log
	out, err := m.console.StdoutPipe()
	must(m.t, err)
	must(m.t, m.console.Start())
	late := time.AfterFunc(2*time.Minute, func() { _ = m.console.Process.Kill() })
	listens := make(chan bool, 1)
	go func() {
		for line := bufio.NewScanner(out); line.Scan(); {
			if strings.HasPrefix(line.Text(), "listening on ") {
				late.Stop()
				listens <- true
			}
			if link, ok := strings.CutPrefix(line.Text(), "claim: "); ok {
				m.claims <- link
			}
		}
		m.ended <- m.console.Wait()
		close(listens)
	}()
	if !<-listens {
		err := <-m.ended
		m.console = nil
		m.t.Fatalf("on machine %d the console ends with %v: %s\n%s", m.number, err, script, m.log.String())
	}
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
	must(m.t, m.console.Process.Signal(signal))
	if err := <-m.ended; err != nil && signal == syscall.SIGTERM {
		m.t.Errorf("told to stop, the console of machine %d ends with %v: %s", m.number, err, m.log.String())
	}
	m.console = nil
}

// claim is the link that makes an owner.
func (m *machine) claim() string {
	m.t.Helper()
	select {
	case link := <-m.claims:
		return link
	case <-time.After(time.Minute):
		m.t.Fatalf("the console of machine %d announces no link to claim it", m.number)
		return ""
	}
}

// browser reaches the machine's console, whatever the name.
func (m *machine) browser() *http.Client {
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, network, fmt.Sprintf("10.0.0.%d:443", m.number))
	}
	return &http.Client{Timeout: time.Minute, Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true,
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // it has one of its own, and nobody else is on this network
}
