package container

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"popup/cloud/cloudtest"
	"popup/cloud/kepttest"
	"popup/console"
)

var _ console.Cloud = (*Cloud)(nil)

func TestContract(t *testing.T) {
	cloudtest.Run(t, func(t *testing.T) cloudtest.World {
		s := open(t)
		s.close()
		return cloudtest.World{Launch: func(instance string) console.Launch { return kepttest.Ask(t, instance) }, Patience: patience,
			Close: s.close, Open: func() console.Cloud { s.open(); return s.Cloud }}
	})
}

// serve has the machine answer on its port with what the folder holds.
const serve = "mkdir -p /srv/site && cd /srv/site && systemd-run --working-directory=/srv/site python3 -m http.server 80"

// What a machine does from its user-data is reached at its address, and it reaches the
// console: also one that was away.
func TestMachineAndConsoleReachEachOther(t *testing.T) {
	s := open(t)
	answers := s.Answer(s.Listen, "the first console")
	m := s.launch("one", serve, "curl -sk "+s.ConsoleURL()+"/hello > told", "curl -s "+s.DownloadsURL()+"/download/its-sum | sha256sum > got", `echo "$(hostname) $(cloud-init query instance_id)" > name`)
	s.Await(m.Address+"/told", "the first console /hello")
	s.Await(m.Address+"/got", ownSum(t))
	s.Await(m.Address+"/name", m.ID+" "+m.ID)
	answers.Close()
	s.close()
	s.Await(m.Address+"/told", "the first console")
	s.open()
	s.Answer(s.Listen, "the second one")
	s.inside("one", "sh", "-c", "curl -sk "+s.ConsoleURL()+"/again > /srv/site/told")
	s.Await(m.Address+"/told", "the second one /again")
	if again := s.AwaitState("one", console.MachineRunning, ""); again.ID != m.ID || again.Address != m.Address {
		t.Errorf("it is %+v, and was %+v", again, m)
	}
}

// ownSum is of this program, which is the popup of these tests.
func ownSum(t *testing.T) string {
	t.Helper()
	f, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }() // only read
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		t.Fatal(err)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// A machine that turned itself off is not started again, by no console.
func TestPoweredOffStaysOff(t *testing.T) {
	s := open(t)
	s.launch("one", "systemctl --no-block poweroff")
	const off = "it turned itself off"
	m := s.AwaitState("one", console.MachineStopped, off)
	s.close()
	s.open()
	if again := s.AwaitState("one", console.MachineStopped, off); again.ID != m.ID {
		t.Errorf("it is %+v, and was %+v", again, m)
	}
	s.wantNoneOf(m)
	s.End("one")
	s.wantNothing("one")
}

// wantNoneOf looks whether nothing of a machine runs, and nothing of it is outside of its folder.
func (s *site) wantNoneOf(m console.Machine) {
	s.T.Helper()
	s.Eventually("nothing of it runs", func() bool { return len(processes(s.T, filepath.Join(s.opts.Dir, m.Instance)+"/")) == 0 })
	if hasGroup(m) {
		s.T.Error("its control group is left")
	}
}

func hasGroup(m console.Machine) bool {
	for _, mount := range []string{"/sys/fs/cgroup/", "/sys/fs/cgroup/unified/"} {
		if _, err := os.Stat(mount + "popup-machine-" + m.ID); err == nil {
			return true
		}
	}
	return false
}

// A keeper that was killed takes its machine along, which is started again with what it
// wrote, at the same address; while the console is there, and by the next one.
func TestKilledKeeperIsStartedAgain(t *testing.T) {
	s := open(t)
	m := s.launch("one", serve, "hostname > name")
	s.Await(m.Address+"/name", m.ID)
	for _, console := range []string{"there", "away"} {
		s.inside("one", "sh", "-c", "echo written while the console was "+console+" > /srv/site/kept; sync")
		keeper := s.keeper("one")
		if console == "away" {
			s.close()
		}
		if err := syscall.Kill(keeper, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if console == "away" {
			s.Eventually("nothing of it runs", func() bool { return len(processes(s.T, filepath.Join(s.opts.Dir, "one")+"/")) == 0 })
			s.open()
		} else {
			s.AwaitState("one", "pending", "its keeper was killed; it is started again within 1s")
		}
		s.Eventually("it runs again", func() bool { again := s.keeperOrNone("one"); return again != 0 && again != keeper })
		s.AwaitState("one", "running", "")
		s.inside("one", "sh", "-c", serve)
		s.Await(m.Address+"/kept", "written while the console was "+console)
	}
	if again := s.MachineOf("one"); again.ID != m.ID || again.Address != m.Address {
		t.Errorf("it is %+v, and was %+v", again, m)
	}
	s.End("one")
	s.wantNothing("one")
	s.wantNoneOf(m)
}

// What a keeper that is killed leaves is removed with its machine.
func TestTerminateWithoutKeeper(t *testing.T) {
	s := open(t)
	m := s.launch("one", serve, "hostname > name")
	s.Await(m.Address+"/name", m.ID)
	link, err := os.ReadFile(filepath.Join(s.opts.Dir, "one", linkName))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(s.keeper("one"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.AwaitState("one", console.MachinePending, "its keeper was killed")
	if !hasGroup(m) {
		t.Error("no control group is left that could be removed")
	}
	s.End("one") // before it is started again
	s.wantNothing("one")
	s.wantNoneOf(m)
	if _, err := os.Stat("/sys/class/net/" + string(link)); err == nil {
		t.Errorf("the link %s is left", link)
	}
	if body := kepttest.Get(m.Address); body != "" {
		t.Errorf("its address answers %q", body)
	}
}

// A machine whose image cannot be made says why, and can be ended.
func TestImageThatCannotBeMade(t *testing.T) {
	s := open(t)
	s.close()
	s.opts.Image.Suite = "no-such-suite"
	s.open()
	s.launch("one")
	s.AwaitState("one", console.MachinePending, "none is of the suite")
	s.End("one")
	s.wantNothing("one")
}

// A machine that is ended while its image is built leaves no mount of the build.
func TestEndWhileTheImageIsBuilt(t *testing.T) {
	s := open(t)
	s.close()
	cache := filepath.Join(filepath.Dir(s.opts.Dir), "cache")
	s.opts.Image.Cache = cache
	s.open()
	s.launch("one")
	s.AwaitState("one", console.MachinePending, "takes minutes")
	s.Eventually("it is being built", func() bool {
		found, err := filepath.Glob(cache + "/*/root/var/lib/dpkg")
		return err == nil && len(found) > 0
	})
	s.End("one")
	s.wantNothing("one")
	if left := processes(s.T, cache); len(left) > 0 {
		t.Errorf("processes %v go on", left)
	}
	if left, err := filepath.Glob(cache + "/*-*"); err != nil || len(left) > 0 {
		t.Errorf("%q is left, %v", left, err)
	}
}

func TestCheckSaysWhatIsMissing(t *testing.T) {
	s := open(t)
	t.Setenv("PATH", t.TempDir())
	l := kepttest.Ask(t, "one")
	l.Architectures, l.Disk = []string{"riscv64"}, 1<<60
	err := s.Check(t.Context(), l)
	for _, want := range []string{"apt-get install mmdebstrap", "riscv64", "free space there"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("it says %v; want %q", err, want)
		}
	}
	if _, err := s.Launch(t.Context(), l); err == nil {
		t.Error("it was launched")
	}
	if names := s.All(); len(names) > 0 {
		t.Errorf("there are %v", names)
	}
}

// inside runs a program in the container of an instance, once that can be done.
func (s *site) inside(instance string, argv ...string) {
	s.T.Helper()
	s.Eventually(fmt.Sprintf("%q is run in %s", argv, instance), func() bool {
		for _, pid := range processes(s.T, filepath.Join(s.opts.Dir, instance)+"/") {
			status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
			if !strings.Contains(string(status), fmt.Sprintf("NSpid:\t%d\t1\n", pid)) {
				continue // not its init
			}
			out, err := exec.Command("nsenter", append([]string{"--target", strconv.Itoa(pid), "--all", "--"}, argv...)...).CombinedOutput()
			if err != nil {
				s.T.Logf("%q: %v\n%s", argv, err, out)
			}
			return err == nil
		}
		return false
	})
}

// keeper is the process that has the machine of an instance.
func (s *site) keeper(instance string) (pid int) {
	s.T.Helper()
	s.Eventually("it has a keeper", func() bool { pid = s.keeperOrNone(instance); return pid != 0 })
	return pid
}

func (s *site) keeperOrNone(instance string) int {
	for _, pid := range processes(s.T, filepath.Join(s.opts.Dir, instance)) {
		line, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if args := strings.Split(string(line), "\x00"); slices.Contains(args, verb) && args[1] == verb {
			return pid
		}
	}
	return 0
}
