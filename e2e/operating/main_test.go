//go:build dqlite

package operating

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// programsEnv names the folder of the programs, to the process that runs the tests.
const programsEnv = "OPERATING_TEST_PROGRAMS"

var programs = os.Getenv(programsEnv)

// TestMain runs the tests in a network and with mounts of their own, which end with them.
func TestMain(m *testing.M) {
	if programs != "" {
		if err := furnish(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(m.Run())
	}
	code, err := withPrograms()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	os.Exit(code)
}

// withPrograms builds the programs, and runs the tests apart.
func withPrograms() (code int, err error) {
	dir, err := os.MkdirTemp("", "popup-operating-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if err := build(dir); err != nil {
		return 1, err
	}
	return testutil.Apart(programsEnv + "=" + dir)
}

// build makes the release as it is, popup-1, and one that has taken one migration more,
// popup-2. So the first one has one fewer than the second.
func build(dir string) error {
	source, err := filepath.Abs("../../store/migrations.go")
	if err != nil {
		return err
	}
	text, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	const end = "\n}\n"
	steps, ended := strings.CutSuffix(string(text), end)
	if !ended {
		return fmt.Errorf("%s does not end with the list of migrations", source)
	}
	steps += `
	{name: "colours", compatible: true, statements: []string{
		"ALTER TABLE objects ADD COLUMN colour TEXT NOT NULL DEFAULT ''",
		"CREATE INDEX objects_colour ON objects (kind, colour)",
		"CREATE TABLE colours (name TEXT PRIMARY KEY)"}},` + end
	edited, overlay := filepath.Join(dir, "migrations.go"), filepath.Join(dir, "overlay.json")
	list, err := json.Marshal(map[string]any{"Replace": map[string]string{source: edited}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.WriteFile(edited, []byte(steps), 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return err
	}
	for number, flags := range []string{1: "", 2: " -overlay=" + overlay} {
		if number == 0 {
			continue
		}
		release := exec.Command("make", "-C", "../..", "release", fmt.Sprintf("BIN=%s/popup-%d", dir, number), fmt.Sprintf("VERSION=%d.0", number))
		release.Env = append(os.Environ(), "GOFLAGS="+os.Getenv("GOFLAGS")+flags)
		if out, err := release.CombinedOutput(); err != nil {
			return fmt.Errorf("make release: %w\n%s", err, out)
		}
	}
	return nil
}

// furnish makes three addresses, and the folders that each machine has its own in the place of.
func furnish() error {
	script := "ip link set lo up && mount -t tmpfs none /srv && mkdir /srv/console"
	for n := 1; n <= machines; n++ {
		script += fmt.Sprintf(" && ip addr add 10.0.0.%d/32 dev lo", n)
	}
	if out, err := exec.Command("sh", "-euc", script).CombinedOutput(); err != nil {
		return fmt.Errorf("make three machines: %w: %s", err, out)
	}
	return nil
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
