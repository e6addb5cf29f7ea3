package local

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
	"popup/cloud/cloudtest"
	"popup/cloud/kept"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/metadata"
	"popup/userdata"
	"reflect"
)

var _ console.Cloud = (*Cloud)(nil)

func TestContract(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
		s := open(t)
		s.close()
		return cloudtest.World{Launch: s.toy, Close: s.close, Open: func() console.Cloud { s.open(); return s.Cloud }}
	})
}

func TestInstanceIsServed(t *testing.T) {
	s := open(t)
	l := s.toy("one")
	m := s.Start(l)
	s.Await(m.Address, "hello from the app")
	dir := filepath.Join(s.opts.Dir, "one")
	for name, want := range map[string]os.FileMode{
		"": os.ModeDir | folderMode(), configName: 0o600, kept.UserDataName: 0o600, kept.RecordName: 0o600, logName: 0o600, kept.OutputName: 0o600,
		kept.RunName: os.ModeDir | 0o700, filepath.Dir(configName): os.ModeDir | 0o700,
	} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode() != want {
			t.Errorf("%q is %v, %v; want %v", name, info, err, want)
		}
	}
	if kept, err := os.ReadFile(filepath.Join(dir, kept.UserDataName)); err != nil || !bytes.Equal(kept, l.UserData) {
		t.Errorf("the user-data is kept as %q, %v", kept, err)
	}
	pid := s.up("one")
	if session, err := unix.Getsid(pid); err != nil || session != pid {
		t.Errorf("it is of session %d, %v; want one of its own", session, err)
	}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	for entry := range strings.SplitSeq(strings.TrimSuffix(string(environ), "\x00"), "\x00") {
		name, _, _ := strings.Cut(entry, "=")
		if err != nil || !slices.Contains([]string{"PATH", "LANG", "TMPDIR", "POPUP_PROCESS", metadata.DisabledEnv}, name) {
			t.Errorf("its environment has %s, %v", name, err)
		}
	}
	s.End("one")
	if left := s.processes("one"); len(left) > 0 || !slices.Equal(s.names(), []string{kept.LockName}) {
		t.Errorf("after its end there are processes %v and files %q", left, s.names())
	}
	listener, err := net.Listen("tcp", strings.TrimPrefix(m.Address, "http://"))
	if err != nil {
		t.Fatalf("its port is not free: %v", err)
	}
	_ = listener.Close() // nobody came
}

// Whatever form the user-data has, the plan in it is what the instance gets.
func TestEveryFormOfUserData(t *testing.T) {
	s := open(t)
	plan, err := userdata.DecodePlan([]byte(planFor(s.app)))
	if err != nil {
		t.Fatal(err)
	}
	for _, format := range []userdata.Format{userdata.Script, userdata.CloudConfig, userdata.MIME} {
		for name, zip := range map[string]bool{"": false, "-gzip": true} {
			l := s.toy(string(format) + name)
			plan.Instance = l.Instance
			l.UserData = kepttest.Render(t, userdata.Spec{Plan: plan, Format: format, Gzip: zip})
			s.Start(l)
			if got := s.config(l.Instance); !reflect.DeepEqual(got, plan) {
				t.Errorf("%s: the instance gets %+v; want %+v", l.Instance, got, plan)
			}
		}
	}
	for _, m := range s.All() {
		s.Await(m.Address, "hello from the app")
	}
}

// A script is only read: what else stands in it does not happen.
func TestUserDataIsNotRun(t *testing.T) {
	s, proof := open(t), filepath.Join(tempDir(t), "ran")
	l := s.toy("one")
	l.UserData = bytes.Replace(l.UserData, []byte("\n"), []byte("\ntouch "+proof+"\n"), 1)
	s.Await(s.Start(l).Address, "hello from the app")
	if _, err := os.Stat(proof); err == nil {
		t.Error("the script was run")
	}
}

func TestInstancesOutliveTheConsole(t *testing.T) {
	s := open(t)
	m := s.Start(s.toy("one"))
	s.Await(m.Address, "hello from the app")
	pid := s.up("one")
	s.close()
	if status, body := kepttest.Fetch(m.Address); status != 200 || !strings.Contains(body, "hello") {
		t.Errorf("without a console it answers %d, %q", status, body)
	}
	s.open()
	s.AwaitState("one", console.MachineRunning, "")
	if again := s.up("one"); again != pid {
		t.Errorf("process %d was started, and %d ran", again, pid)
	}
}

func TestKilledIsStartedAgain(t *testing.T) {
	s := open(t)
	m := s.Start(s.toy("one"))
	for _, console := range []string{"there", "away"} {
		s.Await(m.Address, "hello from the app")
		pid := s.up("one")
		if console == "away" {
			s.close()
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		s.Eventually("it is gone", func() bool { return !slices.Contains(s.processes("one"), pid) })
		if console == "away" {
			s.open()
		} else {
			s.AwaitState("one", "pending", "popup ended: it did not say why; it is started again within 1s")
		}
		s.Eventually("it is another process", func() bool { pids := s.ups("one"); return len(pids) == 1 && pids[0] != pid })
	}
	s.Await(m.Address, "hello from the app")
	if again := s.AwaitState("one", console.MachineRunning, ""); again.Address != m.Address {
		t.Errorf("it is at %s, and was at %s", again.Address, m.Address)
	}
}

// What cannot start is tried again and again, says why, and comes up once it can.
func TestPortThatIsTaken(t *testing.T) {
	s := open(t)
	m := s.Start(s.toy("one"))
	s.Await(m.Address, "hello from the app")
	s.close()
	pid := s.up("one")
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	var listener net.Listener
	s.Eventually("the port is another's", func() (ok bool) {
		var err error
		listener, err = net.Listen("tcp", strings.TrimPrefix(m.Address, "http://"))
		return err == nil
	})
	defer func() { _ = listener.Close() }() // closed below, but for a failure
	s.open()
	s.AwaitState("one", console.MachinePending, "another program has this port")
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.Await(m.Address, "hello from the app")
	s.AwaitState("one", console.MachineRunning, "")
}

func TestProgramThatIsMissing(t *testing.T) {
	s := open(t)
	l := s.toy("one")
	s.close()
	s.opts.Popup = filepath.Join(tempDir(t), "popup")
	s.open()
	for what, err := range map[string]error{"check": s.Check(t.Context(), l), "launch": second(s.Launch(t.Context(), l))} {
		if err == nil || !strings.Contains(err.Error(), "popup program is not there") {
			t.Errorf("%s: %v", what, err)
		}
	}
	// One that was launched while it was there is started once it is there again.
	if err := os.Symlink(program, s.opts.Popup); err != nil {
		t.Fatal(err)
	}
	m := s.Start(l)
	s.Await(m.Address, "hello from the app")
	pid := s.up("one")
	if err := os.Remove(s.opts.Popup); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.AwaitState("one", console.MachinePending, "no such program")
	if err := os.Symlink(program, s.opts.Popup); err != nil {
		t.Fatal(err)
	}
	s.Await(m.Address, "hello from the app")
}

func second[T any](_ T, err error) error { return err }

func TestOneConsoleAFolder(t *testing.T) {
	s := open(t)
	if _, err := Open(s.opts); err == nil || !strings.Contains(err.Error(), "another console has these instances") {
		t.Errorf("a second console: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	for want, opts := range map[string]Options{
		"give one IP address":      {Dir: dir, Host: "0.0.0.0"},
		`cannot be reached at "h"`: {Dir: dir, Host: "h"},
		"make folder of instances": {Dir: write(t, filepath.Join(dir, "file"), "")},
	} {
		if c, err := Open(opts); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("opened %v, %v; want %q", c, err, want)
		}
	}
}

func TestClosedIsSaid(t *testing.T) {
	s := open(t)
	l := s.toy("one")
	s.close()
	s.close()
	for what, err := range map[string]error{"Launch": second(s.Launch(t.Context(), l)), "Machines": second(s.Machines(t.Context())),
		"Check": s.Check(t.Context(), l), "Terminate": s.Terminate(t.Context(), "one")} {
		if err == nil || !strings.Contains(err.Error(), "closed") {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// A record that somebody broke is no machine that is lost: it is listed, and can be ended.
func TestBrokenRecord(t *testing.T) {
	for name, text := range map[string]string{"cut": `{"instance":"one","po`, "another's": `{"instance":"two","port":80}`, "no port": `{"instance":"one"}`, "gone": ""} {
		s := open(t)
		m := s.Start(s.toy("one"))
		s.Await(m.Address, "hello")
		s.close()
		path := filepath.Join(s.opts.Dir, "one", kept.RecordName)
		if text == "" {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		} else if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s.open()
		if m := s.AwaitState("one", console.MachineStopped, "cannot be read"); m.Address != "" {
			t.Errorf("%s: it is at %s", name, m.Address)
		}
		s.End("one")
		if left := s.processes("one"); len(left) > 0 {
			t.Errorf("%s: processes %v are left", name, left)
		}
	}
}
