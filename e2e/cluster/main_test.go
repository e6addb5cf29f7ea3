//go:build cluster

package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"popup/internal/testutil"
)

// programEnv names the release that is tested, to the process that runs the tests.
const programEnv = "CLUSTER_TEST_POPUP"

// program is the release.
var program = os.Getenv(programEnv)

// TestMain runs the tests in a network and with mounts of their own, which end with them.
func TestMain(m *testing.M) {
	if os.Geteuid() != 0 {
		fmt.Fprintln(os.Stderr, "cannot make three machines on this one: only root may give them networks and disks of their own; try sudo make e2e T=cluster")
		os.Exit(1)
	}
	if program != "" {
		os.Exit(m.Run())
	}
	code, err := apart()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// apart builds the release, and runs the tests in a process of its own.
func apart() (code int, err error) {
	dir, err := os.MkdirTemp("", "popup-cluster-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	popup := os.Getenv("POPUP")
	if popup == "" {
		popup = filepath.Join(dir, "popup")
		if out, err := exec.Command("make", "-C", "../..", "release", "BIN="+popup).CombinedOutput(); err != nil {
			return 1, fmt.Errorf("make release: %w\n%s", err, out)
		}
	}
	return testutil.Apart(programEnv + "=" + popup)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// run runs a program of the machine's.
func run(t testing.TB, argv ...string) {
	t.Helper()
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
}
