//go:build cluster

package cluster

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"popup/internal/testutil"
)

// Where a console answers on its machine, and what all of them are called.
const (
	browsers = ":8443"
	members  = ":9000"
	name     = "https://console.example" + browsers
)

// mostEnding is how long a console may take to end.
const mostEnding = time.Minute

// A console is popup console on a machine.
type console struct {
	*machine
	at     atomic.Value // the address of its machine, to who asks meanwhile
	args   []string     // besides what says where it is
	env    []string
	log    *testutil.Buffer
	claim  chan string // the link, once
	end    func(syscall.Signal)
	client http.Client // reaches it, whatever the name
}

func newConsole(m *machine, env []string, args ...string) *console {
	c := &console{machine: m, args: args, env: env, claim: make(chan string, 1), log: &testutil.Buffer{}, end: func(syscall.Signal) {}}
	c.at.Store(m.ip)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", c.at.Load().(string)+browsers)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it has one of its own, and nobody else is on this network
	}
	c.client.Transport = transport
	c.leaves()
	m.t.Cleanup(func() {
		transport.CloseIdleConnections()
		if c.t.Failed() {
			c.t.Logf("%s said:\n%s", c.name, tail(c.log.String()))
		}
	})
	return c
}

// tail is the end of a log.
func tail(text string) string { return text[max(0, len(text)-6000):] }

// move gives the console another machine, with nothing on it.
func (c *console) move(m *machine) {
	c.machine = m
	c.at.Store(m.ip)
	c.client.CloseIdleConnections()
	c.leaves()
}

// leaves has the console end before its machine does, and with KEEP=1 what it said and had
// stay in e2e/out.
func (c *console) leaves() {
	m := c.machine
	c.t.Cleanup(func() {
		c.end(syscall.SIGKILL)
		if os.Getenv("KEEP") == "" {
			return
		}
		out := filepath.Join("..", "out", c.t.Name(), m.name)
		must(c.t, os.RemoveAll(out))
		must(c.t, os.MkdirAll(out, 0o755))
		must(c.t, os.WriteFile(filepath.Join(out, "console.log"), []byte(c.log.String()), 0o600))
		run(c.t, "cp", "-a", m.disk, filepath.Join(out, "disk"))
		c.t.Logf("%s is kept in %s", m.name, out)
	})
}

// itself is where whoever insists asks this one alone.
func (c *console) itself() *console { return c }

func (c *console) dir() string { return filepath.Join(c.disk, "data") }

// begin starts the console, and does not wait for it.
func (c *console) begin(join ...string) (listening <-chan struct{}, ended <-chan struct{}) {
	c.t.Helper()
	argv := append([]string{program, "console", "--data-dir", c.dir(), "--listen", c.ip + browsers, "--url", name, "--cluster-address", c.ip + members}, c.args...)
	cmd := c.in(append(argv, join...)...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stderr = c.log
	stdout, err := cmd.StdoutPipe()
	must(c.t, err)
	must(c.t, cmd.Start())
	is, over := make(chan struct{}), make(chan struct{})
	go func() {
		for said := bufio.NewScanner(stdout); said.Scan(); {
			if link, found := strings.CutPrefix(said.Text(), "claim: "); found {
				c.claim <- link
			}
			if strings.HasPrefix(said.Text(), "listening on ") {
				close(is)
			}
		}
		_ = cmd.Wait() // how it ended is in its log
		close(over)
	}()
	c.end = func(with syscall.Signal) {
		for _, signal := range []syscall.Signal{with, syscall.SIGKILL} {
			_ = cmd.Process.Signal(signal) // it may have ended
			select {
			case <-over:
				return
			case <-time.After(mostEnding):
				c.t.Errorf("%s does not end within %v of %s", c.name, mostEnding, signal)
			}
		}
	}
	return is, over
}

// start starts the console, and waits until it answers.
func (c *console) start(join ...string) {
	c.t.Helper()
	must(c.t, c.await(c.begin(join...)))
}

func (c *console) await(is, over <-chan struct{}) error {
	select {
	case <-is:
		return nil
	case <-over:
		return fmt.Errorf("%s ended:\n%s", c.name, tail(c.log.String()))
	case <-time.After(2 * time.Minute):
		return fmt.Errorf("%s does not answer:\n%s", c.name, tail(c.log.String()))
	}
}

// kill ends it without a word.
func (c *console) kill() { c.end(syscall.SIGKILL) }

// stop asks it to end.
func (c *console) stop() { c.end(syscall.SIGTERM) }

// popup runs a verb about the console, on its machine.
func (c *console) popup(verb ...string) (string, error) {
	argv := append([]string{program, "console"}, verb...)
	cmd := c.in(append(argv, "--data-dir", c.dir())...)
	cmd.Env = append(os.Environ(), c.env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("popup console %s: %w: %s", strings.Join(verb, " "), err, out)
	}
	return string(out), err
}
