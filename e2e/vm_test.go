//go:build vm

package e2e

import (
	"context"
	"testing"
	"time"

	"popup/internal/machine"
	"popup/internal/testutil"
)

// vmBoot is how long a virtual machine may take until its app is up: the
// processor may be emulated, on a machine that does other things too.
const vmBoot = 6 * time.Minute

// vmLoad is how often each reader asks: an emulated processor needs a third of a
// second for a page, and has other things to do.
const vmLoad = 500 * time.Millisecond

// launchVM starts a virtual machine and returns the address of its app.
func launchVM(t *testing.T, cfg machine.VMConfig) (*machine.VM, string) {
	t.Helper()
	dir := evidence(t)
	cfg.Image, cfg.Forward, cfg.Dir, cfg.Console = image(t), []int{80}, t.TempDir(), consoleLog(t, dir)
	v, err := machine.StartVM(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, v.Close()) })
	t.Logf("accelerated: %v", v.Accelerated())
	url := "http://" + v.Addr(80).String()
	t.Cleanup(func() {
		if t.Failed() {
			source, err := get(context.Background(), url+"/.well-known/popup")
			t.Logf("what it serves (%v):\n%s", err, source)
		}
	})
	return v, url
}

// board commits the board and its first day, new data being looked for each
// minute, and returns the user-data.
func (s *site) board(days []testutil.Day) []byte {
	s.t.Helper()
	s.commitApp("qa-board", "@every 5m", "@every 1m")
	s.data.CommitDay(days[0])
	return s.userData("--data", s.dataURL())
}

// TestVMNoCloud is the main job on a machine with a kernel of its own: the board
// of one day, of the next without a failed request, and after a reset.
func TestVMNoCloud(t *testing.T) {
	t.Parallel()
	days := testutil.Days(t, 2)
	s := newSite(t, "127.0.0.1", machine.HostFromNoCloud)
	userData := s.board(days)
	began := time.Now()
	v, url := launchVM(t, machine.VMConfig{Name: "board", UserData: userData})
	page(t, url, boardOf(t, days[0]), vmBoot)
	t.Logf("from launch to a served page: %v", time.Since(began).Round(time.Second))

	readers := startLoad(t, url, boardWords, vmLoad)
	s.data.CommitDay(days[1])
	page(t, url, boardOf(t, days[1]), 3*time.Minute)
	readers.stop(t)

	began = time.Now()
	if err := v.Reset(t.Context()); err != nil {
		t.Fatal(err)
	}
	page(t, url, boardOf(t, days[1]), vmBoot)
	t.Logf("from reset to a served page: %v", time.Since(began).Round(time.Second))
	if n := s.requests("/popup"); n != 1 {
		t.Errorf("popup was downloaded %d times, for one machine", n)
	}
}

// TestVMOnEC2 launches on what looks like EC2: the machine finds that out by
// itself, and its user-data with tokens.
func TestVMOnEC2(t *testing.T) {
	t.Parallel()
	days := testutil.Days(t, 1)
	s := newSite(t, "127.0.0.1", machine.HostFromEC2)
	cfg := machine.VMConfig{Name: "ec2"}
	signer, err := machine.NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	cfg.EC2, err = machine.NewIMDS(machine.MetadataConfig{
		InstanceID: "i-0123456789abcdef0", MAC: cfg.MAC(), UserData: s.board(days), LaunchTime: time.Now(), Signer: signer,
	})
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	v, url := launchVM(t, cfg)
	page(t, url, boardOf(t, days[0]), vmBoot)
	t.Logf("from launch to a served page: %v", time.Since(began).Round(time.Second))
	if err := v.PowerOff(t.Context()); err != nil {
		t.Error(err)
	}
}
