package container

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/cloud/kept"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/machine"
	"popup/internal/sandbox"
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

// A site is a folder with containers.
type site struct {
	*Cloud
	kepttest.Site
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
	base := kepttest.Folder(t, "popup-c-")
	s := &site{opts: Options{Dir: filepath.Join(base, "machines"), Host: "127.0.0.1", Log: kepttest.Silent(), Image: kepttest.Image(t, true)}}
	s.Site = kepttest.Site{T: t, Patience: patience, Opened: func() console.Cloud { return s.Cloud }}
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

// clear ends all that there is, and looks whether it is gone.
func (s *site) clear() {
	s.close()
	s.open()
	for _, m := range s.All() {
		if s.T.Failed() {
			s.Tell(filepath.Join(s.opts.Dir, m.Instance))
		}
		s.End(m.Instance)
	}
	s.close()
	s.wantNothing("")
}

// wantNothing looks for what may be left of an instance, or of any: files, processes,
// mounts, control groups, links.
func (s *site) wantNothing(instance string) {
	s.T.Helper()
	below := filepath.Join(s.opts.Dir, instance) + "/"
	entries, err := os.ReadDir(filepath.Join(s.opts.Dir, instance))
	for _, e := range entries {
		if e.Name() != kept.LockName && !strings.HasSuffix(e.Name(), ".sock") {
			s.T.Errorf("%s is left in %s", e.Name(), below)
		}
	}
	if instance != "" && !os.IsNotExist(err) {
		s.T.Errorf("%s is left: %v", below, err)
	}
	for _, pid := range processes(s.T, below) {
		s.T.Errorf("process %d is left", pid)
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	if mounts, err := os.ReadFile("/proc/self/mountinfo"); err != nil || bytes.Contains(mounts, []byte(below)) {
		s.T.Errorf("mounts are left, %v", err)
	}
}

// processes are those that name a folder on their command line, or have it mounted.
func processes(t testing.TB, below string) []int {
	t.Helper()
	return kepttest.Processes(t, func(proc string) bool {
		return strings.Contains(kepttest.Read(filepath.Join(proc, "cmdline")), below) || strings.Contains(kepttest.Read(filepath.Join(proc, "mountinfo")), "upperdir="+below)
	})
}

// launch asks for a machine whose user-data also does what lines say, before all else.
func (s *site) launch(instance string, lines ...string) console.Machine {
	s.T.Helper()
	return s.Start(kepttest.Ask(s.T, instance, lines...))
}
