// Package appliance runs the built binary as its user would, on this machine:
// popup up on real repositories, real php-fpm, real kills.
package appliance

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/launcher"
)

// program is the binary under test, built once, or named by programEnv.
var program = os.Getenv(programEnv)

const programEnv = "POPUP_TEST_PROGRAM"

func TestMain(m *testing.M) {
	if program != "" {
		os.Exit(m.Run())
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "popup-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		program = filepath.Join(dir, "popup")
		flag.Parse()
		args, cgo := []string{"build", "-race"}, "1"
		if flag.Lookup("test.bench").Value.String() != "" { // what is measured is what is shipped
			args, cgo = []string{"build", "-trimpath", "-ldflags", "-s -w"}, "0"
		}
		build := exec.Command("go", append(args, "-o", program, "popup/cmd/popup")...)
		build.Env = append(os.Environ(), "CGO_ENABLED="+cgo)
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build popup: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// An up is a running `popup up`.
type up struct {
	t    testing.TB
	cmd  *exec.Cmd
	root string
	url  string
	log  *testutil.Buffer
	done chan struct{}
	as   *syscall.Credential // whom it runs as; nil: as the tests do
}

// startUp runs popup up with args on root and waits for its first line. The
// test's end stops it.
func startUp(t testing.TB, root string, args ...string) *up {
	t.Helper()
	u := &up{t: t, root: root, log: &testutil.Buffer{}, done: make(chan struct{})}
	u.run(append([]string{"up", "--root", root, "--listen", "127.0.0.1:0"}, args...)...)
	return u
}

// run starts popup with args, which begin with up or try, and waits for its first line.
func (u *up) run(args ...string) {
	t := u.t
	t.Helper()
	u.cmd = exec.Command(program, args...)
	u.cmd.Stderr = u.log
	u.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: u.as}
	stdout, err := u.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := u.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stdout)
	first, err := lines.ReadString('\n')
	url, ok := strings.CutPrefix(strings.TrimSpace(first), "listening on ")
	go func() {
		_, _ = io.Copy(u.log, lines)
		_ = u.cmd.Wait()
		close(u.done)
	}()
	if err != nil || !ok {
		<-u.done
		t.Fatalf("first line of standard output is %q (%v), not the address; standard error:\n%s", first, err, u.log)
	}
	u.url = url
	t.Cleanup(func() { u.stop() })
}

// stop ends it as a service manager would, and returns how it exited.
func (u *up) stop() error {
	u.t.Helper()
	_ = u.cmd.Process.Signal(syscall.SIGTERM) // it may have exited
	select {
	case <-u.done:
	case <-time.After(60 * time.Second):
		_ = u.cmd.Process.Kill()
		<-u.done
		u.t.Errorf("popup up did not stop within 60s of SIGTERM; its log:\n%s", u.log)
	}
	if bytes.Contains(u.log.Bytes(), []byte("DATA RACE")) {
		u.t.Errorf("data race in popup:\n%s", u.log)
	}
	if code := u.cmd.ProcessState.ExitCode(); code > 0 {
		return fmt.Errorf("exit %d", code)
	}
	return nil
}

// kill is a power cut for the process.
func (u *up) kill() {
	_ = u.cmd.Process.Kill()
	<-u.done
}

// get asks for path and returns status and body.
func (u *up) get(path string) (int, string) {
	u.t.Helper()
	resp, err := http.Get(u.url + path)
	if err != nil {
		u.t.Fatalf("GET %s: %v; log:\n%s", path, err, u.log)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		u.t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, string(body)
}

// await waits until path answers 200 with text in it.
func (u *up) await(path, text string) {
	u.t.Helper()
	u.until(fmt.Sprintf("%s contains %q", path, text), func() bool {
		status, body := u.get(path)
		return status == http.StatusOK && strings.Contains(body, text)
	})
}

// until polls for at most a minute.
func (u *up) until(what string, ok func() bool) {
	u.t.Helper()
	u.untilEvery(10*time.Millisecond, what, ok)
}

func (u *up) untilEvery(wait time.Duration, what string, ok func() bool) {
	u.t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !ok() {
		if time.Now().After(deadline) {
			status, _ := json.MarshalIndent(u.status(), "", " ")
			u.t.Fatalf("not within a minute: %s\nstatus: %s\nlog:\n%s", what, status, u.log)
		}
		time.Sleep(wait)
	}
}

func (u *up) client() *launcher.Client {
	u.t.Helper()
	c, err := launcher.Dial(u.root)
	if err != nil {
		u.t.Fatal(err)
	}
	return c
}

func (u *up) status() launcher.Status {
	u.t.Helper()
	s, err := u.client().Status(context.Background())
	if err != nil {
		u.t.Fatalf("status: %v; log:\n%s", err, u.log)
	}
	return s
}

// phase returns one phase of the status.
func (u *up) phase(name launcher.PhaseName) launcher.Phase {
	u.t.Helper()
	for _, p := range u.status().Phases {
		if p.Name == name {
			return p
		}
	}
	u.t.Fatalf("the status has no phase %q", name)
	return launcher.Phase{}
}

// tempRoot is a root that the app's own user can reach: t.TempDir is closed to others.
func tempRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "popup-root-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("chmod", "-R", "u+rwX", dir).CombinedOutput(); err != nil {
			t.Errorf("clean %s: %v %s", dir, err, out)
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// writeFiles makes a folder of files; a name that ends in .sh or begins with bin/ is executable.
func writeFiles(t testing.TB, dir string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
