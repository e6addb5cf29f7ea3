package appliance

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popup/internal/testutil"
)

// onVolume writes a plan that has the toy's state on a volume.
func onVolume(t *testing.T, root string, service *testutil.GitRepo, fresh bool) {
	t.Helper()
	path := filepath.Join(root, "etc/popup/config.yaml")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	plan := fmt.Sprintf(`plan_version: 1
manifest:
  manifest_version: 1
  id: toy
  name: Toy
  build_command: date >>"$STATE_DIR/builds"
  serve: {type: command, start_command: exec python3 -B server.py}
  health_check: {interval: 1s, grace_period: 15s}
  state: {}
service: {url: %q}
state: {volume: {id: vol-0123456789abcdef0, fresh: %v}}
`, service.URL(), fresh)
	if err := os.WriteFile(path, []byte(plan), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestStateOnAVolume: the app waits for the disk, finds what it wrote after a kill, after
// a restart of the machine, and on the machine that replaces it.
func TestStateOnAVolume(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("only root may mount a disk; TestVolumeNeedsRoot is about that")
		return
	}
	if !inside(t, syscall.CLONE_NEWNS) {
		return
	}
	run(t, "mount", "--make-rprivate", "/")
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 16<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "losetup", "--find", "--show", disk).CombinedOutput()
	if err != nil {
		t.Logf("there are no loop devices here: %v: %s", err, out)
		return
	}
	device := strings.TrimSpace(string(out))
	t.Cleanup(func() { _ = exec.Command("losetup", "--detach", device).Run() }) // once it is not mounted any more
	run(t, "mount", "-t", "tmpfs", "none", "/sys/block")                        // what the kernel of a cloud's machine would show

	root, repo := tempRoot(t), toyRepo(t)
	onVolume(t, root, repo, true)
	u := startUp(t, root)
	u.until("a sentence on the boot page", func() bool {
		_, page := u.get("/")
		return strings.Contains(page, "state volume") && strings.Contains(page, "not attached yet")
	})
	shown := filepath.Join("/sys/block", filepath.Base(device), "device")
	if err := os.MkdirAll(shown, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(shown, "serial"), []byte("vol0123456789abcdef0\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	u.await("/", "one")
	u.touch("bids")
	kept := func(when string, builds int) {
		t.Helper()
		if _, err := os.Stat(u.state("bids")); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		if at := run(t, "findmnt", "-n", "-o", "SOURCE", "--mountpoint", filepath.Join(u.root, "var/lib/popup/state")); at != device {
			t.Errorf("%s: the state is on %s", when, at)
		}
		if text := run(t, "wc", "-l", u.state("builds")); !strings.HasPrefix(text, fmt.Sprint(builds, " ")) {
			t.Errorf("%s: what the build wrote is %s", when, text)
		}
	}
	kept("at first", 1)
	u.kill()
	u = startUp(t, root)
	u.await("/", "one")
	kept("after a kill", 1)
	restart := func() {
		t.Helper()
		if err := u.stop(); err != nil {
			t.Fatal(err)
		}
		run(t, "umount", filepath.Join(u.root, "var/lib/popup/state"))
	}
	restart()
	u = startUp(t, root)
	u.await("/", "one")
	kept("after a restart of the machine", 1)

	restart()
	root = tempRoot(t)
	onVolume(t, root, repo, false)
	u = startUp(t, root)
	u.await("/", "one")
	kept("on the machine that replaces it", 2)
	restart()
}

func TestVolumeNeedsRoot(t *testing.T) {
	root, repo := tempRoot(t), toyRepo(t)
	onVolume(t, root, repo, true)
	cmd := exec.CommandContext(t.Context(), program, "up", "--root", root, "--listen", "127.0.0.1:0")
	if os.Geteuid() == 0 {
		run(t, "chown", "-R", "65534:65534", root)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err == nil || !strings.Contains(string(out), "mount the volume vol-0123456789abcdef0: only root may mount a disk; start popup with sudo") {
		t.Errorf("without root: %v\n%s", err, out)
	}
}
