// Package bench measures the data sync against its peers, on real git repositories
// behind a real git http-backend. Unless REPS says otherwise it only makes sure
// that everything that is measured works.
//
// The server, popup and go-git run in processes of their own, which are this test
// binary again with BENCH_ROLE set, so that each one's CPU and memory is its own.
package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
)

// roleVar names what a process started by this one is to be.
const roleVar = "BENCH_ROLE"

// roles are what this binary can be instead of a test.
var roles = map[string]func(context.Context) error{
	"server": serve,
	"popup":  func(ctx context.Context) error { return reside(ctx, openPopup) },
	"go-git": func(ctx context.Context) error { return reside(ctx, openGoGit) },
}

func TestMain(m *testing.M) {
	role := os.Getenv(roleVar)
	if role == "" {
		os.Exit(m.Run())
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	err := roles[role](ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, role+":", err)
		os.Exit(1)
	}
}

// environment is what every measured program sees, and nobody's git configuration.
func environment(extra ...string) []string {
	env := []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_SYSTEM=/dev/null",
		"GIT_TERMINAL_PROMPT=0", "GIT_AUTHOR_NAME=Test", "GIT_AUTHOR_EMAIL=test@example.org",
		"GIT_COMMITTER_NAME=Test", "GIT_COMMITTER_EMAIL=test@example.org"}
	return append(env, extra...)
}

// role is this binary again, as something else, until the test is over.
func role(t testing.TB, name string, env ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), self)
	cmd.Env, cmd.Stderr = environment(append(env, roleVar+"="+name, "HOME="+t.TempDir(), "GORACE=atexit_sleep_ms=0")...), os.Stderr
	return cmd
}

// count reads a number of the environment.
func count(t testing.TB, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("%s=%s is not a number above 0", name, text)
	}
	return n
}

// buildUsage builds the program that runs the others.
func buildUsage(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "usage")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w", "-o", program, "popup/e2e/bench/usage")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build usage: %v\n%s", err, out)
	}
	return program
}
