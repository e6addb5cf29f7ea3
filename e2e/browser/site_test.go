//go:build browser

package browser

import (
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/process"
	"popup/internal/testutil"
)

// patience is how long something may take that is waited for, on a machine that has a
// lot else to do.
const patience = 2 * time.Minute

// A site is a running console, and the folder that it keeps.
type site struct {
	t     *testing.T
	dir   string
	args  []string
	url   string // without a slash at its end
	claim string // the link that makes one its owner
	runs  *testutil.Process
}

// startConsole starts a console that nobody owns yet, with flags beside the usual. The test's end stops it, and all
// that it launched.
func startConsole(t *testing.T, args ...string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "popup-site-")
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, dir: dir, args: args}
	t.Cleanup(s.remove)
	if err := os.Chmod(dir, 0o755); err != nil { // apps have a user of their own
		t.Fatal(err)
	}
	s.start("127.0.0.1:0")
	s.claim = s.runs.Says("claim: ", patience)
	return s
}

// start runs the console until it says where.
func (s *site) start(listen string) {
	s.t.Helper()
	log, err := os.OpenFile(s.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer log.Close() // the console has it
	cmd := exec.Command(program, append([]string{"console", "--listen", listen, "--data-dir", filepath.Join(s.dir, "data"), "--verbose"}, s.args...)...)
	cmd.Stderr = log
	s.runs = testutil.Start(s.t, cmd)
	s.url = s.runs.Says("listening on ", patience)
}

// kill ends the console without a word to it, and waits until it is gone.
func (s *site) kill() {
	s.t.Helper()
	s.runs.End(syscall.SIGKILL)
}

// again starts the console once more, at the same address.
func (s *site) again() {
	s.t.Helper()
	at, err := url.Parse(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.start(net.JoinHostPort(at.Hostname(), at.Port()))
}

func (s *site) log() string { return filepath.Join(s.dir, "console.log") }

// logged is the end of the console's log.
func (s *site) logged() string {
	body, err := os.ReadFile(s.log())
	if err != nil {
		return err.Error()
	}
	return string(body[max(0, len(body)-8<<10):])
}

// remove ends whatever the console left running, which is by design not ended with it, and
// removes its folder.
func (s *site) remove() {
	if s.t.Failed() {
		s.t.Logf("the console said:\n%s", s.logged())
		if keeps() {
			keep(s.t, "console.log", []byte(s.logged()))
		}
	}
	instances := filepath.Join(s.dir, "data", "instances")
	folders, _ := os.ReadDir(instances) // none: nothing was launched
	for _, f := range folders {
		if !f.IsDir() {
			continue
		}
		for _, records := range []string{"processes", "root/run/popup/processes"} {
			if _, err := process.EndOrphans(filepath.Join(instances, f.Name(), records)); err != nil {
				s.t.Errorf("end what is left of %s: %v", f.Name(), err)
			}
		}
	}
	if err := os.RemoveAll(s.dir); err != nil {
		s.t.Error(err)
	}
}

func keeps() bool { return os.Getenv("KEEP") != "" }

// keep writes evidence of a test that failed.
func keep(t *testing.T, name string, body []byte) {
	dir := filepath.Join(testutil.RepositoryRoot(t), "e2e", "out")
	at := filepath.Join(dir, strings.ReplaceAll(t.Name(), "/", "-")+"-"+name)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Error(err)
		return
	}
	if err := os.WriteFile(at, body, 0o600); err != nil {
		t.Error(err)
		return
	}
	t.Log("kept", at)
}
