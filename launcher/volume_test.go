package launcher

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/apps"
	"popup/internal/wire"
	"popup/launcher/front"
	"popup/launcher/volume"
)

// onVolume opens an appliance whose state is on a disk that is a file's, and that a
// sysfs of its own shows once attach is called.
func onVolume(t *testing.T, fresh bool) (a *Appliance, attach func()) {
	t.Helper()
	root := t.TempDir()
	for dir := root; dir != "/tmp" && dir != "/"; dir = filepath.Dir(dir) { // the app's user must be able to enter it
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	a, err := open(t.Context(), Options{Root: root, Logger: slog.New(slog.DiscardHandler), Stdout: io.Discard,
		Plan: wire.Plan{Version: 1, Instance: "fair-7", Manifest: apps.Manifest{ID: "board", State: &apps.State{}},
			State: wire.State{Volume: &wire.Volume{ID: "vol-0123456789abcdef0", Fresh: fresh}}}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shut(t, a) })
	disk := filepath.Join(t.TempDir(), "disk")
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 16<<20)); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", disk).CombinedOutput()
	if err != nil {
		t.Skipf("there are no loop devices here: %v: %s", err, out)
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() {
		_ = syscall.Unmount(a.at.state(), 0) // it may not be mounted
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup: %v: %s", err, out)
		}
	})
	a.volume.Sys = t.TempDir()
	shown := filepath.Join(a.volume.Sys, "block", filepath.Base(device))
	if err := os.MkdirAll(shown, 0o755); err != nil {
		t.Fatal(err)
	}
	return a, func() {
		if err := os.WriteFile(filepath.Join(shown, "serial"), []byte("vol-0123456789abcdef"), 0o644); err != nil {
			t.Error(err)
		}
	}
}

// phase is how a phase is.
func (a *Appliance) phase(name PhaseName) Phase {
	for _, p := range a.board.list() {
		if p.Name == name {
			return p
		}
	}
	return Phase{}
}

// TestStateAwaitsItsDisk: nothing is taken for the state, or lost, before the disk is
// there; then it is the app's; and it is let go of before the machine is turned off.
func TestStateAwaitsItsDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root may mount a disk; TestOnlyRootMounts of the volume is about that")
		return
	}
	a, attach := onVolume(t, true)
	if err := a.prepareUser(); err != nil {
		t.Fatal(err)
	}
	if err := a.prepareState(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(a.at.state()); err != nil || info.Sys().(*syscall.Stat_t).Uid != 0 || info.Mode().Perm() != 0o700 {
		t.Errorf("an app may write where the disk hides it: %v, %v", info, err)
	}
	mounting := make(chan error, 1)
	go func() { mounting <- a.mountState(t.Context()) }()
	eventually(t, "a sentence on the boot page", func() bool {
		p := a.phase(PhaseVolume)
		return p.State == front.PhaseFailed && p.Cause == "the state's disk is not attached yet" && strings.Contains(p.Detail, "no disk has its serial number")
	})
	if _, err := a.backup(t.Context(), backupOrder{Final: true}); !errors.Is(err, errUnmounted) {
		t.Errorf("a final backup of what is not there: %v", err)
	}
	a.packagesOnce()
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := a.awaitPackages(soon); err == nil {
		t.Error("a build may begin, which may write state")
	}
	attach()
	if err := <-mounting; err != nil {
		t.Fatal(err)
	}
	if p := a.phase(PhaseVolume); p.State != front.PhaseDone {
		t.Errorf("the phase is %+v", p)
	}
	uid, gid := a.ids()
	info, err := os.Stat(a.at.state())
	if err != nil {
		t.Fatal(err)
	}
	if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != uid || int(owner.Gid) != gid || info.Mode().Perm() != 0o700 {
		t.Errorf("the state is of %d:%d, and %v", owner.Uid, owner.Gid, info.Mode())
	}
	bids := filepath.Join(a.at.state(), "bids")
	if err := errors.Join(os.WriteFile(bids, []byte("9"), 0o600), os.Lchown(bids, 12345, 12345), os.Lchown(a.at.state(), 12345, 12345)); err != nil {
		t.Fatal(err) // as of another machine, on which the app's user had that number
	}
	if err := a.takeVolume(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(bids); err != nil || int(info.Sys().(*syscall.Stat_t).Uid) != uid {
		t.Errorf("what came from another machine is not the app's: %v, %v", info, err)
	}
	if name, err := a.backup(t.Context(), backupOrder{}); err != nil || name == "" {
		t.Errorf("a backup: %q, %v", name, err)
	}

	a.ended = true
	a.opts.PowerOff = func(context.Context) error {
		if _, err := os.Stat(bids); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the machine is turned off while the disk is mounted: %v", err)
		}
		return nil
	}
	if err := a.powerOff(); err != nil {
		t.Error(err)
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for begun := time.Now(); !is(); <-tick.C {
		if time.Since(begun) > 20*time.Second {
			t.Fatalf("there was never %s", what)
		}
	}
}

func TestVolumeCause(t *testing.T) {
	for want, err := range map[string]error{
		"the state's disk is not attached yet":         &phaseError{PhaseVolume, "", &volume.Error{ID: "vol-1", Away: true, Why: "no disk"}},
		"the state's disk is not mounted: it is blank": &volume.Error{ID: "vol-1", Why: "it is blank", Err: io.EOF},
		"the state's disk could not be mounted":        io.EOF,
	} {
		if got := volumeCause(err); got != want {
			t.Errorf("%v: %q, want %q", err, got, want)
		}
	}
}

// TestVolumeIsChecked before anything is served.
func TestVolumeIsChecked(t *testing.T) {
	opts := Options{Root: t.TempDir(), Logger: slog.New(slog.DiscardHandler), Stdout: io.Discard,
		Plan: wire.Plan{Version: 1, State: wire.State{Volume: &wire.Volume{ID: "../disk"}}}}
	if _, err := open(t.Context(), opts); err == nil || !strings.Contains(err.Error(), "state.volume.id is no volume's") {
		t.Errorf("a word for a volume: %v", err)
	}
}
