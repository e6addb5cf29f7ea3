package appliance

import (
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
)

// stubborn answers /slow after a minute, and does not end when it is asked to.
const stubborn = `import http.server, os, signal, subprocess, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "1000"])
open(os.environ["STATE_DIR"] + "/pids", "w").write("%d %d" % (os.getpid(), child.pid))
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s):
        if s.path == "/slow":
            open(os.environ["STATE_DIR"] + "/slow", "w").close()
            time.sleep(60)
        s.send_response(200); s.end_headers(); s.wfile.write(b"hello")
    def log_message(*a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`

// startTry tries the stubborn app, and returns it with its processes.
func startTry(t *testing.T) (u *up, pids []string) {
	t.Helper()
	dir := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": toyManifest + "state: {}\n", "server.py": stubborn})
	u = &up{t: t, log: &testutil.Buffer{}, done: make(chan struct{})}
	u.run("try", dir)
	named := regexp.MustCompile(`(?m)^popup: the root is (\S+); popup status --root (\S+) tells`).FindStringSubmatch(u.log.String())
	if named == nil || named[1] != named[2] {
		t.Fatalf("the root is not named:\n%s", u.log)
	}
	u.root = named[1]
	u.await("/", "hello")
	text, err := os.ReadFile(filepath.Join(u.root, "var/lib/popup/state/pids"))
	if err != nil {
		t.Fatal(err)
	}
	return u, strings.Fields(string(text))
}

// askSlowly has a request open that the app does not answer in time.
func (u *up) askSlowly() {
	u.t.Helper()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		if resp, err := http.Get(u.url + "/slow"); err == nil {
			_ = resp.Body.Close() // it is cut off
		}
	}()
	u.t.Cleanup(func() { <-answered })
	u.until("the slow request is open", func() bool {
		_, err := os.Stat(filepath.Join(u.root, "var/lib/popup/state/slow"))
		return err == nil
	})
}

// interrupt is a Ctrl-C for popup alone.
func (u *up) interrupt() {
	u.t.Helper()
	if err := u.cmd.Process.Signal(syscall.SIGINT); err != nil {
		u.t.Fatal(err)
	}
}

// leftNothing wants an exit with status 0 within most, and neither root nor processes after it.
func (u *up) leftNothing(pids []string, most time.Duration) {
	u.t.Helper()
	select {
	case <-u.done:
	case <-time.After(most):
		u.t.Errorf("it has not ended within %s:\n%s", most, u.log)
		<-u.done
	}
	if code := u.cmd.ProcessState.ExitCode(); code != 0 {
		u.t.Errorf("it ended with status %d:\n%s", code, u.log)
	}
	if _, err := os.Lstat(u.root); !os.IsNotExist(err) {
		u.t.Errorf("the root %s is still there (%v)", u.root, err)
	}
	for _, pid := range pids {
		if alive(pid) {
			u.t.Errorf("process %s of the app is still running", pid)
		}
	}
}

func TestTryWaitsForRequestsAndSaysSo(t *testing.T) {
	t.Parallel()
	u, pids := startTry(t)
	u.askSlowly()
	began := time.Now()
	u.interrupt()
	u.leftNothing(pids, 25*time.Second)
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("it waited %s for the request; want 5 s", took)
	}
	for _, want := range []string{"waiting for 1 open request, at most 5s; Ctrl-C again ends at once", "1 open request cut off", "is killed"} {
		if !strings.Contains(u.log.String(), want) {
			t.Errorf("%q is not said:\n%s", want, u.log)
		}
	}
}

func TestTrySecondInterruptEndsAtOnce(t *testing.T) {
	t.Parallel()
	u, pids := startTry(t)
	u.askSlowly()
	u.interrupt()
	u.until("it says what it waits for", func() bool { return strings.Contains(u.log.String(), "waiting for 1 open request") })
	u.interrupt()
	u.leftNothing(pids, 4*time.Second)
}

// A connection that a browser opened ahead holds nothing up.
func TestStopDoesNotWaitForSilentConnections(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	u := startUp(t, root, "--config", "notice")
	u.await("/", "Notices")
	conn, err := net.Dial("tcp", strings.TrimPrefix(u.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	began := time.Now()
	if err := u.stop(); err != nil {
		t.Error(err)
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it waited %s for a connection on which nothing is asked:\n%s", took, u.log)
	}
}
