package e2e

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/console"
	"popup/internal/testutil"
	"popup/internal/wire"
	"popup/web/api"
	"popup/web/client"
)

// A desk is a popup console that runs, and whoever owns it.
type desk struct {
	t    *testing.T
	dir  string
	args []string
	env  []string // besides what git is kept apart by
	url  string
	runs *testutil.Process
	*client.Client
}

// newDesk starts a console with these flags, and claims it.
func newDesk(t *testing.T, host string, env []string, flags ...string) *desk {
	t.Helper()
	// A socket's path is short, and a test's folder is not.
	dir, err := os.MkdirTemp("", "popup-desk-")
	noError(t, err)
	noError(t, os.Chmod(dir, 0o711))
	d := &desk{t: t, dir: dir, env: env, args: append([]string{"console", "--data-dir", dir, "--listen", freeAddress(t, host)}, flags...)}
	t.Cleanup(d.leave)
	d.claim(d.start())
	return d
}

// offer is a catalogue of the site's app alone.
func (s *site) offer() string {
	s.t.Helper()
	offered := s.t.TempDir()
	noError(s.t, os.Mkdir(filepath.Join(offered, "qa-board"), 0o755))
	manifest, err := os.ReadFile(filepath.Join(s.service.Dir, "app.yaml"))
	noError(s.t, err)
	noError(s.t, os.WriteFile(filepath.Join(offered, "qa-board/app.yaml"), manifest, 0o644))
	return offered
}

// freeAddress is one of this machine that a console has again after it was killed.
func freeAddress(t *testing.T, host string) string {
	t.Helper()
	listener, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
	noError(t, err)
	noError(t, listener.Close())
	return listener.Addr().String()
}

// start starts the console, and returns its claim link where nobody owns it yet.
func (d *desk) start() (claim string) {
	d.t.Helper()
	cmd := exec.Command(program, d.args...)
	cmd.Env = append(testutil.GitEnv(), d.env...)
	d.runs = testutil.Start(d.t, cmd)
	d.url = d.runs.Says("listening on ", 2*time.Minute)
	if d.Client != nil {
		return ""
	}
	return d.runs.Says("claim: ", 2*time.Minute)
}

// kill ends the console without a word.
func (d *desk) kill() { d.runs.End(syscall.SIGKILL) }

// leave ends what the console left behind: where the test failed, machines may be there.
func (d *desk) leave() {
	for pid, line := range processesOf(d.t, d.dir) {
		if process, err := os.FindProcess(pid); err == nil {
			d.t.Errorf("left behind is process %d: %s", pid, line)
			_ = process.Kill()
		}
	}
	if d.Client != nil {
		d.Close()
	}
	noError(d.t, os.RemoveAll(d.dir))
}

// processesOf are the command lines of processes that name a folder, by their numbers.
func processesOf(t *testing.T, dir string) map[int]string {
	t.Helper()
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	noError(t, err)
	found := map[int]string{}
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(dir)) {
			continue // most are others', and some end meanwhile
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil {
			found[pid] = strings.ReplaceAll(string(text), "\x00", " ")
		}
	}
	return found
}

// claim makes the owner by the link, as a browser does, and signs in.
func (d *desk) claim(link string) {
	d.t.Helper()
	at := client.Login{URL: d.url}
	// It learns the certificate of a console as ssh learns a key: by the first connection.
	learn := func(s tls.ConnectionState) error { at.Pin = wire.PinOf(s.PeerCertificates[0]); return nil }
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, VerifyConnection: learn}}}
	defer browser.CloseIdleConnections()
	who := api.Login{Name: testutil.Owner, Password: testutil.Password, Title: "e2e"}
	testutil.FillForm(d.t, browser, link, url.Values{"name": {who.Name}, "password": {who.Password}})
	anonymous, err := client.New(at)
	noError(d.t, err)
	defer anonymous.Close()
	added, err := anonymous.Login(d.t.Context(), who)
	noError(d.t, err)
	at.Token = added.Secret
	d.Client, err = client.New(at)
	noError(d.t, err)
}

// launch launches an app until a moment, a whole minute, and waits until it is live.
func (d *desk) launch(app console.AppRequest, until time.Time, within time.Duration) (event string, i api.Instance) {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(d.t.Context(), within)
	defer cancel()
	o, err := d.Launch(ctx, console.LaunchRequest{
		Event: console.EventRequest{Name: "fair", End: until.UTC().Format("2006-01-02T15:04")},
		Apps:  []console.AppRequest{app},
	}, "once")
	if err != nil {
		d.t.Fatal(err)
	}
	o, err = d.Follow(ctx, o, func(seen api.Instance) { i = seen; d.t.Logf("%s is %s: %s", seen.ID, seen.State, seen.Address) })
	if err != nil {
		d.t.Fatalf("%v: %+v", err, i)
	}
	return o.Event, i
}

// A guestCloud is a cloud of this machine.
type guestCloud struct {
	name        string
	host, guest string        // where what machines fetch is served here, and what they call that
	boot        time.Duration // how long one may take until its app is live
	// alone has the event end while there is no console. It takes the ten minutes more
	// that an end has which could not be asked about.
	alone bool
}

// lives is the whole product with nothing rented: a console launches an app into a cloud
// of this machine; the machine enrols, serves, loses the console, gets new data, and ends;
// the console comes back, and its receipt names nothing left behind.
func (c guestCloud) lives(t *testing.T) {
	days := testutil.Days(t, 2)
	s := newSite(t, c.host, c.guest)
	// What a catalogue offers names its sources, and here as machines see them.
	s.commitApp("qa-board", "@every 5m", "@every 1m", "source: folder\n  url: sample", "repository: "+s.dataURL(),
		"license: Apache-2.0\n", "license: Apache-2.0\nservice:\n  repository: "+s.serviceURL()+"\n")
	s.data.CommitDay(days[0])
	d := newDesk(t, "127.0.0.1", nil, "--cloud", c.name, "--catalogue", s.offer(), "--guest-package", "php-fpm",
		"--guest-images", filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine"))

	began := time.Now()
	until := began.Add(c.boot + time.Minute).Truncate(time.Minute).Add(time.Minute)
	event, i := d.launch(console.AppRequest{App: "qa-board"}, until, c.boot)
	t.Logf("from launch to live: %v", time.Since(began).Round(time.Second))
	page(t, i.Address, boardOf(t, days[0]), time.Minute)
	d.kill()
	s.data.CommitDay(days[1]) // nobody needs a console for that
	page(t, i.Address, boardOf(t, days[1]), 3*time.Minute)
	if c.alone {
		const grace = 10 * time.Minute
		eventually(t, time.Until(until)+grace+3*time.Minute, "turns itself off", func() error {
			if left := processesOf(t, d.dir); len(left) > 0 {
				return fmt.Errorf("there still are %v", left)
			}
			return nil
		})
		t.Logf("off %v after its end", time.Since(until).Round(time.Second))
	}
	d.start()
	if !c.alone {
		_, err := d.EndEvent(t.Context(), event, "fair")
		noError(t, err)
	}
	d.provenGone(event, i.ID)
	if left, err := filepath.Glob(filepath.Join(d.dir, c.name, i.ID+"*")); err != nil || len(left) > 0 {
		t.Errorf("on the disk is left %q, %v", left, err)
	}
}

// provenGone waits until an event of these instances is archived, and reads its receipt.
func (d *desk) provenGone(event string, instances ...string) api.Receipt {
	d.t.Helper()
	eventually(d.t, 10*time.Minute, "is archived", func() error {
		e, err := d.Event(d.t.Context(), event)
		if err == nil && e.State != "archived" {
			err = fmt.Errorf("it is %s: %s", e.State, e.Stuck)
		}
		return err
	})
	receipt, err := d.Receipt(d.t.Context(), event)
	noError(d.t, err)
	d.t.Logf("receipt: %+v", receipt)
	var gone []string
	for _, line := range receipt.Instances {
		if line.Gone {
			gone = append(gone, line.Instance)
		}
	}
	if len(receipt.Instances) != len(instances) || !slices.Equal(gone, instances) {
		d.t.Errorf("of %q the receipt says %+v", instances, receipt.Instances)
	}
	for _, thing := range receipt.Things {
		if !thing.Gone {
			d.t.Errorf("left behind is %+v", thing)
		}
	}
	return receipt
}

// TestContainerCloud is that with real systemd and cloud-init, in namespaces.
func TestContainerCloud(t *testing.T) {
	image(t)
	guestCloud{name: "container", host: "0.0.0.0", guest: "popup-console", boot: 2 * time.Minute}.lives(t)
}
