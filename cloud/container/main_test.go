package container

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/cloud/kept"
	"popup/console"
	"popup/internal/machine"
	"popup/internal/sandbox"
	"popup/internal/testutil"
	"popup/userdata"
)

// These tests start this binary as keepers of machines.
func TestMain(m *testing.M) {
	for _, main := range []func([]string) (bool, int){sandbox.Main, machine.Main, Main} {
		if handled, code := main(os.Args); handled {
			os.Exit(code)
		}
	}
	os.Exit(m.Run())
}

// patience bounds every wait of these tests; nothing takes that long but a failure.
const patience = 2 * time.Minute

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(20*time.Millisecond), time.Now().Add(patience)
	defer tick.Stop()
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
		<-tick.C
	}
}

// A site is a folder with containers.
type site struct {
	*Cloud
	t    *testing.T
	opts Options
}

func open(t *testing.T) *site {
	t.Helper()
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal("containers need root: run the tests as root")
	default:
		t.Skip("containers need root: run the tests as root")
	}
	base, err := os.MkdirTemp("", "popup-c-") // short enough for sockets
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	s := &site{t: t, opts: Options{Dir: filepath.Join(base, "machines"), Host: "127.0.0.1", Log: slog.New(slog.DiscardHandler),
		Image: machine.ImageConfig{Packages: []string{"php-fpm"}, Kernel: true, Cache: filepath.Join(testutil.RepositoryRoot(t), ".cache", "machine")}}}
	built(t, s.opts.Image)
	s.open()
	t.Cleanup(s.clear)
	return s
}

// built builds the image where there is none yet: that takes longer than tests wait for
// a machine.
func built(t *testing.T, cfg machine.ImageConfig) {
	t.Helper()
	image, err := machine.BuildImage(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := image.Close(); err != nil {
		t.Error(err)
	}
}

func (s *site) open() {
	s.t.Helper()
	c, err := Open(s.opts)
	if err != nil {
		s.t.Fatal(err)
	}
	s.Cloud = c
}

func (s *site) close() {
	s.t.Helper()
	if err := s.Close(); err != nil {
		s.t.Error(err)
	}
}

// clear ends all that there is, and looks whether it is gone.
func (s *site) clear() {
	s.close()
	s.open()
	for _, m := range s.all() {
		if s.t.Failed() {
			for _, name := range []string{"output", "status.json", "console.log"} {
				text, err := os.ReadFile(filepath.Join(s.opts.Dir, m.Instance, name))
				s.t.Logf("%s of %s, %v:\n%s", name, m.Instance, err, text[max(0, len(text)-4<<10):])
			}
		}
		if err := s.Terminate(context.WithoutCancel(s.t.Context()), m.Instance); err != nil {
			s.t.Error(err)
		}
	}
	s.close()
	s.wantNothing("")
}

func (s *site) all() []console.Machine {
	s.t.Helper()
	machines, err := s.Machines(context.WithoutCancel(s.t.Context()))
	if err != nil {
		s.t.Fatal(err)
	}
	return machines
}

// wantNothing looks for what may be left of an instance, or of any: files, processes,
// mounts, control groups, links.
func (s *site) wantNothing(instance string) {
	s.t.Helper()
	below := filepath.Join(s.opts.Dir, instance) + "/"
	entries, err := os.ReadDir(filepath.Join(s.opts.Dir, instance))
	for _, e := range entries {
		if e.Name() != kept.LockName && !strings.HasSuffix(e.Name(), ".sock") {
			s.t.Errorf("%s is left in %s", e.Name(), below)
		}
	}
	if instance != "" && !os.IsNotExist(err) {
		s.t.Errorf("%s is left: %v", below, err)
	}
	for _, pid := range processes(below) {
		s.t.Errorf("process %d is left", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(below)) {
		s.t.Errorf("mounts are left, %v", err)
	}
}

// processes are those that name a folder on their command line, or have it mounted.
func processes(below string) (pids []int) {
	entries, _ := os.ReadDir("/proc")
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		line, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		mounts, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "mountinfo"))
		if bytes.Contains(line, []byte(below)) || bytes.Contains(mounts, []byte("upperdir="+below)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// machineOf is what the cloud says of an instance.
func (s *site) machineOf(instance string) console.Machine {
	s.t.Helper()
	for _, m := range s.all() {
		if m.Instance == instance {
			return m
		}
	}
	s.t.Fatalf("there is no instance %s", instance)
	return console.Machine{}
}

func (s *site) awaitState(instance string, state console.MachineState, detail string) console.Machine {
	s.t.Helper()
	var m console.Machine
	eventually(s.t, fmt.Sprintf("%s is %s, %q", instance, state, detail), func() bool {
		m = s.machineOf(instance)
		return m.State == state && strings.Contains(m.Detail, detail)
	})
	return m
}

// launch asks for a machine whose user-data also does what lines say, before all else.
func (s *site) launch(instance string, lines ...string) console.Machine {
	s.t.Helper()
	m, err := s.Launch(s.t.Context(), ask(s.t, instance, lines...))
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

func ask(t *testing.T, instance string, lines ...string) console.Launch {
	t.Helper()
	plan, err := userdata.DecodePlan([]byte(`plan_version: 1
manifest: {manifest_version: 1, id: toy, name: Toy, serve: {type: static}}
service: {url: "https://example.org/x.git"}
`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := userdata.Render(userdata.Spec{
		Plan:   plan,
		Binary: userdata.Binary{URLs: []string{"https://example.org/popup-linux-{arch}"}, SHA256: map[string]string{"amd64": strings.Repeat("0", 64)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	script := strings.Join(append(append([]string{"#!/bin/sh"}, lines...), ""), "\n")
	data = bytes.Replace(data, []byte("#!/bin/sh\n"), []byte(script), 1)
	return console.Launch{Instance: instance, Event: "fair", EventID: "e1", Deployment: "d1", App: "toy", UserData: data}
}

// get is what an address answers; nothing where nobody does.
func get(address string) string {
	resp, err := (&http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}).Get(address)
	if err != nil {
		return ""
	}
	defer func() { _ = resp.Body.Close() }() // only read
	text, _ := io.ReadAll(resp.Body)         // what came is looked at
	return string(text)
}

func await(t *testing.T, address, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s answers with %q", address, text), func() bool { return strings.Contains(get(address), text) })
}
