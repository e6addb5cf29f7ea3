package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/sandbox"
)

// starterDir, when set, makes the test binary a program that starts others and
// waits to be killed.
const starterDir = "PROCESS_TEST_STARTER_DIR"

// What else a starter may be told: to start programs until it is killed, to detach
// its program, and to do without cgroups.
const (
	starterMany   = "PROCESS_TEST_STARTER_MANY"
	starterDetach = "PROCESS_TEST_STARTER_DETACH"
	starterBare   = "PROCESS_TEST_STARTER_BARE"
)

// withoutCgroups makes this machine one that has none.
func withoutCgroups(t *testing.T) {
	t.Helper()
	before := ownCgroup
	ownCgroup = func() string { return "" }
	t.Cleanup(func() { ownCgroup = before })
}

func TestMain(m *testing.M) {
	if handled, code := sandbox.Main(os.Args); handled {
		os.Exit(code)
	}
	if dir := os.Getenv(starterDir); dir != "" {
		os.Exit(starter(dir))
	}
	os.Exit(m.Run())
}

// patience bounds every wait of these tests; nothing takes that long but a failure.
const patience = 20 * time.Second

func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// script is a Spec that runs a line of sh in a fresh folder.
func script(t *testing.T, line string) Spec {
	t.Helper()
	return Spec{
		Name: "app", Argv: []string{"/bin/sh", "-c", line}, Dir: t.TempDir(), RunDir: t.TempDir(),
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin"},
	}
}

func mustStart(t *testing.T, spec Spec) *Process {
	t.Helper()
	p, err := Start(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := p.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	return p
}

// eventually waits until what holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("still not: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// readPID waits until a program has written its number to path.
func readPID(t *testing.T, path string) int {
	t.Helper()
	pid := 0
	eventually(t, path+" holds a number", func() bool {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.HasSuffix(text, []byte("\n")) {
			return false
		}
		pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	})
	return pid
}

// running reports whether pid is a process that has not ended.
func running(pid int) bool {
	stat, err := readStat(pid)
	return err == nil && !stat.ended()
}

func waitDone(t *testing.T, p *Process) {
	t.Helper()
	select {
	case <-p.Done():
	case <-time.After(patience):
		t.Fatalf("process %d has not ended; it printed %q", p.PID(), p.Tail())
	}
}

func ls(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// starter starts a program that daemonizes a child, says so, and starts many
// more until it is killed.
func starter(dir string) int {
	if os.Getenv(starterBare) != "" {
		ownCgroup = func() string { return "" }
	}
	ctx := context.Background()
	spec := Spec{
		Name: "app", RunDir: filepath.Join(dir, "run"), Dir: dir, Env: []string{"PATH=/usr/bin:/bin"},
		Argv: []string{"/bin/sh", "-c", `setsid sh -c 'echo $$ > daemon; exec sleep 1000' & sleep 1000 & echo $! > child; echo $$ > leader; wait`},
	}
	start := func() error { _, err := Start(ctx, spec); return err }
	if os.Getenv(starterDetach) != "" {
		start = func() error { return Detach(ctx, spec, os.Stderr) }
	}
	if err := start(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	spec.Argv = []string{"/bin/sh", "-c", `echo $$ >> many; exec sleep 1000`}
	for os.Getenv(starterMany) != "" {
		if _, err := Start(ctx, spec); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	select {}
}

// A startedStarter is a starter that was started, in the folder dir.
type startedStarter struct {
	dir string
	cmd *exec.Cmd
}

func startStarter(t *testing.T, env ...string) startedStarter {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "run"), 0o700); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(slices.Clone(env), starterDir+"="+dir)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := startedStarter{dir: dir, cmd: cmd}
	t.Cleanup(func() { s.kill(t) })
	return s
}

func (s startedStarter) runDir() string { return filepath.Join(s.dir, "run") }

func (s startedStarter) pid(t *testing.T, name string) int {
	t.Helper()
	return readPID(t, filepath.Join(s.dir, name))
}

// kill is kill -9 of the starter alone.
func (s startedStarter) kill(t *testing.T) {
	t.Helper()
	if s.cmd.ProcessState != nil {
		return
	}
	if err := s.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = s.cmd.Wait() // it was killed
}
