// Package console asks the built popup console what it can bear: ten thousand
// instances and a thousand browsers on one core, and kill -9 at any moment. Unless
// INSTANCES or KILLS say otherwise it only makes sure that all of this works.
package console

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
)

// program is the binary under test, built once, as it is shipped.
var program string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "popup-console-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		if err := os.Chmod(dir, 0o755); err != nil { // apps have a user of their own
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		program = filepath.Join(dir, "popup")
		build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "popup/cmd/popup")
		build.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := build.CombinedOutput(); err != nil {
			fmt.Fprintf(os.Stderr, "build popup: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
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

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
