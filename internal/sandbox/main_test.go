package sandbox_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"popup/internal/process"
	"popup/internal/sandbox"
)

// patience bounds every wait of these tests.
const patience = time.Minute

// testUser is made by these tests, where they are root, and removed by them.
const testUser = "popup-test-app"

func TestMain(m *testing.M) {
	if handled, code := sandbox.Main(os.Args); handled {
		os.Exit(code)
	}
	code := m.Run()
	if made.Load() {
		if out, err := exec.Command("userdel", testUser).CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "remove user %s: %v: %s\n", testUser, err, out)
			code = 1
		}
	}
	if built.dir != "" {
		if err := os.RemoveAll(built.dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

func isRoot() bool { return os.Geteuid() == 0 }

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// anotherUser is the user programs are confined to: one of its own where we are root, else ourselves.
func anotherUser(t *testing.T) *sandbox.User {
	t.Helper()
	if !isRoot() {
		return nil
	}
	u := ensureTestUser(t)
	return &u
}

// runUnder runs argv under p to its end.
func runUnder(t *testing.T, p sandbox.Policy, argv ...string) (process.Result, error) {
	t.Helper()
	cmd, err := p.Command(argv)
	if err != nil {
		t.Fatal(err)
	}
	return process.Run(testContext(t), process.Spec{Name: "app", Argv: cmd, Dir: "/", Env: []string{"PATH=/usr/bin:/bin"}})
}

// openDir is a fresh folder that every user may enter; what is made in it may be anybody's.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for _, d := range []string{dir, filepath.Dir(dir)} {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// makeDir makes a folder that belongs to u, or to us.
func makeDir(t *testing.T, path string, mode os.FileMode, u *sandbox.User) string {
	t.Helper()
	err := errors.Join(os.MkdirAll(path, 0o755), os.Chmod(path, mode))
	if u != nil {
		err = errors.Join(err, os.Chown(path, int(u.UID), int(u.GID)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func writeFile(t *testing.T, path, text string, mode os.FileMode) string {
	t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

var built struct {
	once    sync.Once
	dir     string // to be removed; empty: none was made
	program string
	err     error
}

// misbehaving is the path of the misbehaving app, which every user may run.
func misbehaving(t *testing.T) string {
	t.Helper()
	built.once.Do(func() {
		if built.program = os.Getenv(programEnv); built.program != "" {
			return
		}
		if built.dir, built.err = os.MkdirTemp("", "misbehave-"); built.err != nil {
			return
		}
		if built.err = os.Chmod(built.dir, 0o755); built.err != nil {
			return
		}
		built.program = filepath.Join(built.dir, "misbehave")
		cmd := exec.Command("go", "build", "-o", built.program, "popup/internal/testutil/misbehave")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			built.err = fmt.Errorf("build misbehave: %w: %s", err, out)
		}
	})
	if built.err != nil {
		t.Fatal(built.err)
	}
	return built.program
}

// The test binary is told that it is in the network of its own, and where the
// misbehaving app is: the build may want the network that is outside.
const (
	insideEnv  = "SANDBOX_TEST_INSIDE"
	programEnv = "SANDBOX_TEST_PROGRAM"
)

// inOwnNetwork runs the calling test once more in a network of its own, where
// nothing but a loopback is, which also has the addresses. It returns false
// outside: the test is over then.
func inOwnNetwork(t *testing.T, addresses ...string) bool {
	t.Helper()
	if os.Getenv(insideEnv) == t.Name() {
		runTool(t, "ip", "link", "set", "lo", "up")
		for _, a := range addresses {
			runTool(t, "ip", "address", "add", a, "dev", "lo")
		}
		return true
	}
	cmd := exec.CommandContext(testContext(t), os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), insideEnv+"="+t.Name(), programEnv+"="+misbehaving(t))
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET}
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatalf("in a network of its own: %v\n%s", err, out)
	}
	return false
}

func runTool(t *testing.T, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v: %s", argv, err, out)
	}
}
