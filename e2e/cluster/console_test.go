//go:build cluster

package cluster

import (
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

// A console is popup console on a machine.
type console struct {
	*machine
	at      atomic.Value // the address of its machine, to who asks meanwhile
	args    []string     // besides what says where it is
	env     []string
	process *testutil.Process // the one that was started last
	log     testutil.Buffer   // of all its processes
	client  http.Client       // reaches it, whatever the name
	owner   *testutil.Person  // asks it
}

func newConsole(m *machine, env []string, args ...string) *console {
	c := &console{machine: m, args: args, env: env}
	c.at.Store(m.ip)
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{Timeout: answerTime}).DialContext(ctx, "tcp", c.at.Load().(string)+browsers)
		},
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, // it has one of its own, and nobody else is on this network
	}
	c.client = http.Client{Transport: transport, Timeout: answerTime}
	c.owner = &testutil.Person{HTTP: &c.client, URL: name}
	c.stays()
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
	c.stays()
}

// stays has what the console said and had stay in e2e/out, with KEEP=1.
func (c *console) stays() {
	m := c.machine
	c.t.Cleanup(func() {
		if os.Getenv("KEEP") == "" {
			return
		}
		out := filepath.Join("..", "out", c.t.Name(), m.name)
		must(c.t, os.RemoveAll(out))
		must(c.t, os.MkdirAll(out, 0o755))
		must(c.t, os.WriteFile(filepath.Join(out, "console.log"), c.log.Bytes(), 0o600))
		run(c.t, "cp", "-a", m.disk, filepath.Join(out, "disk"))
		c.t.Logf("%s is kept in %s", m.name, out)
	})
}

// itself is where whoever insists asks this one alone.
func (c *console) itself() *console { return c }

func (c *console) dir() string { return filepath.Join(c.disk, "data") }

// begin starts the console, and does not wait for it.
func (c *console) begin(join ...string) {
	c.t.Helper()
	argv := append([]string{program, "console", "--data-dir", c.dir(), "--listen", c.ip + browsers, "--url", name, "--cluster-address", c.ip + members}, c.args...)
	cmd := c.in(append(argv, join...)...)
	cmd.Env = append(os.Environ(), c.env...)
	cmd.Stderr = &c.log
	c.process = testutil.Start(c.t, cmd)
}

// start starts the console, and waits until it answers.
func (c *console) start(join ...string) {
	c.t.Helper()
	c.begin(join...)
	must(c.t, c.listens())
}

// listens waits until the console that began answers.
func (c *console) listens() error {
	if _, err := c.process.Heard("listening on ", 2*time.Minute); err != nil {
		return fmt.Errorf("%s: %w%s", c.name, err, tail(c.log.String()))
	}
	return nil
}

// kill ends it without a word.
func (c *console) kill() { c.process.End(syscall.SIGKILL) }

// stop asks it to end.
func (c *console) stop() { c.process.End(syscall.SIGTERM) }

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
