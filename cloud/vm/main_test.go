package vm

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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
	if dir := os.Getenv(holderVar); dir != "" {
		os.Exit(holdForEver(dir))
	}
	os.Exit(m.Run())
}

// A site is a folder with virtual machines.
type site struct {
	*Cloud
	kepttest.Site
	opts Options
}

// patience bounds every wait of these tests: a processor may be emulated.
const patience = 15 * time.Minute

// open opens a cloud. Its image is built where a machine is started.
func open(t *testing.T) *site {
	t.Helper()
	s := &site{opts: Options{Dir: filepath.Join(kepttest.Folder(t, "popup-v-"), "machines"), Host: "127.0.0.1", Log: kepttest.Silent()}}
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
		s.end(m.Instance)
	}
	s.close()
}

// end ends a machine, and looks for what may be left of it: files, processes, sockets.
func (s *site) end(instance string) {
	s.T.Helper()
	m := s.MachineOf(instance)
	s.End(instance)
	for _, path := range []string{filepath.Join(s.opts.Dir, instance), runOf(s.opts.Dir, m.ID)} {
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			s.T.Errorf("%s is left, %v", path, err)
		}
	}
	if left := processes(s.T, s.opts.Dir, instance, m.ID); len(left) > 0 {
		s.T.Errorf("processes %v are left", left)
	}
}

// processes name an instance's folder or its machine on their command line.
func processes(t testing.TB, dir, instance, id string) []int {
	t.Helper()
	return kepttest.Processes(t, func(proc string) bool {
		line := kepttest.Read(filepath.Join(proc, "cmdline"))
		return strings.Contains(line, filepath.Join(dir, instance)+"\x00") || strings.Contains(line, id)
	})
}
