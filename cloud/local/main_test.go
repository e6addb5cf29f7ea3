package local

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/cloud/kept"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/sandbox"
	"popup/internal/wire"
	"popup/userdata"
)

// program is the popup binary, built once.
var program string

// asConsole, when set, makes the test binary a console: it launches what the variable
// says, prints the machines, and waits to be killed.
const asConsole = "LOCAL_TEST_CONSOLE"

func TestMain(m *testing.M) {
	if handled, code := sandbox.Main(os.Args); handled {
		os.Exit(code)
	}
	if order := os.Getenv(asConsole); order != "" {
		os.Exit(beConsole(order))
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "popup-local-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		program = filepath.Join(dir, "popup")
		build := exec.Command("go", "build", "-o", program, "popup/cmd/popup")
		if out, err := build.CombinedOutput(); err != nil || os.Chmod(dir, 0o755) != nil {
			fmt.Fprintf(os.Stderr, "build popup: %v\n%s", err, out)
			return 1
		}
		return m.Run()
	}())
}

// patience bounds every wait of these tests; nothing takes that long but a failure.
const patience = time.Minute

// tempDir is a folder that the apps' own user can enter, and t.TempDir is not.
func tempDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "popup-l-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil { // instances that are gone left nothing that is closed
			t.Error(err)
		}
	})
	return dir
}

func write(t testing.TB, path, text string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// A site is a folder with instances, and an app to launch.
type site struct {
	*Cloud
	kepttest.Site
	opts Options
	app  string // a folder with a static app
}

// open opens a cloud in a folder of its own; the test's end ends what is in it.
func open(t testing.TB) *site {
	t.Helper()
	base := tempDir(t)
	s := &site{app: filepath.Join(base, "app"),
		opts: Options{Dir: filepath.Join(base, "instances"), Popup: program, Log: kepttest.Silent()}}
	s.Site = kepttest.Site{T: t, Patience: patience, Opened: func() console.Cloud { return s.Cloud }}
	write(t, filepath.Join(s.app, "index.html"), "hello from the app")
	s.open()
	t.Cleanup(s.clear)
	return s
}

func (s *site) open() {
	s.T.Helper()
	c, err := Open(s.opts)
	if err != nil {
		s.T.Fatal(err)
	}
	s.Cloud = c
}

func (s *site) close() {
	s.T.Helper()
	if err := s.Close(); err != nil {
		s.T.Error(err)
	}
}

// again is a console that was stopped and started.
func (s *site) again() { s.T.Helper(); s.close(); s.open() }

// clear ends all that there is, and looks whether it is gone.
func (s *site) clear() {
	s.close()
	s.open()
	for _, m := range s.All() {
		s.End(m.Instance)
	}
	s.close()
	if left := s.processes(""); len(left) > 0 {
		s.T.Errorf("processes %v still run in the folder", left)
		for _, pid := range left {
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	if names := s.names(); !slices.Equal(names, []string{kept.LockName}) {
		s.T.Errorf("the folder still has %q", names)
	}
}

func (s *site) has(instance string) bool {
	s.T.Helper()
	return slices.ContainsFunc(s.All(), func(m console.Machine) bool { return m.Instance == instance })
}

// names are those in the folder.
func (s *site) names() (names []string) {
	s.T.Helper()
	entries, err := os.ReadDir(s.opts.Dir)
	if err != nil {
		s.T.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// processes are those that run for an instance, popup and app, or, for none, for any:
// they name its folder on their command line, or work below it.
func (s *site) processes(instance string) []int {
	s.T.Helper()
	below := filepath.Join(s.opts.Dir, instance) + "/"
	return kepttest.Processes(s.T, func(proc string) bool {
		cwd, _ := os.Readlink(filepath.Join(proc, "cwd")) // gone, it is none
		return strings.Contains(kepttest.Read(filepath.Join(proc, "cmdline")), below) || strings.HasPrefix(cwd+"/", below)
	})
}

// ups are the processes of popup itself that run for an instance, or for any.
func (s *site) ups(instance string) (pids []int) {
	s.T.Helper()
	for _, pid := range s.processes(instance) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(line), "\x00"); len(args) > 1 && args[1] == "up" {
			pids = append(pids, pid)
		}
	}
	return pids
}

// up is the one process of popup itself.
func (s *site) up(instance string) (pid int) {
	s.T.Helper()
	s.Eventually("one popup runs for "+instance, func() bool {
		pids := s.ups(instance)
		if len(pids) == 1 {
			pid = pids[0]
		}
		return len(pids) == 1
	})
	return pid
}

// planFor is the plan of a static app, in the words of a config.
func planFor(app string) string {
	return fmt.Sprintf("plan_version: 1\nmanifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}\nservice: {kind: folder, url: %q}\n", app)
}

// userData renders a plan that is written as a config.
func userData(t testing.TB, plan string) []byte {
	t.Helper()
	return kepttest.Render(t, kepttest.Plan(t, plan))
}

// toy asks for an instance of the static app.
func (s *site) toy(instance string) console.Launch {
	s.T.Helper()
	return console.Launch{Instance: instance, Event: "fair", Deployment: "d1", App: "toy", Catalogued: true, UserData: userData(s.T, planFor(s.app))}
}

// config is the plan as the instance has it.
func (s *site) config(instance string) wire.Plan {
	s.T.Helper()
	text, err := os.ReadFile(filepath.Join(s.opts.Dir, instance, configName))
	if err != nil {
		s.T.Fatal(err)
	}
	plan, err := userdata.DecodePlan(text)
	if err != nil {
		s.T.Fatal(err)
	}
	return plan
}

// An order is what a console that is a process of its own does.
type order struct {
	Dir, Popup string
	Launches   []console.Launch
	End        bool // them again, when they were printed
}

// beConsole opens the cloud, launches, prints the machines as a line of JSON, and
// waits for its end.
func beConsole(text string) int {
	var o order
	err := json.Unmarshal([]byte(text), &o)
	if err == nil {
		err = o.carryOut()
	}
	fmt.Fprintln(os.Stderr, err)
	return 1
}

func (o order) carryOut() error {
	c, err := Open(Options{Dir: o.Dir, Popup: o.Popup, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	var machines []console.Machine
	for _, l := range o.Launches {
		m, err := c.Launch(context.Background(), l)
		if err != nil {
			return err
		}
		machines = append(machines, m)
	}
	if err := json.NewEncoder(os.Stdout).Encode(machines); err != nil {
		return err
	}
	for _, m := range machines {
		if !o.End {
			break
		}
		if err := c.Terminate(context.Background(), m.Instance); err != nil {
			return err
		}
	}
	select {}
}
