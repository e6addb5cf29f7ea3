package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"popup/internal/machine"
)

// program is the popup under test, as a release would be built.
var program string

func TestMain(m *testing.M) {
	if handled, code := machine.Main(os.Args); handled {
		os.Exit(code)
	}
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "e2e: machines need root for their images and namespaces; nothing was tested here. Run the tests as root.")
		if os.Getenv("CI") != "" {
			return 1 // there, a test that does not run must not look like one that passed
		}
		return 0
	}
	dir, err := os.MkdirTemp("", "popup-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		return 1
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "popup")
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", program, "popup/cmd/popup")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "e2e: build popup: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}
