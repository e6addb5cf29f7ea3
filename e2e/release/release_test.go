//go:build dqlite

package release

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// built is the release, made anew.
func built(t *testing.T, how ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "popup")
	ran(t, "make", append([]string{"-C", "../..", "release", "BIN=" + path, "VERSION=1.2.3-test"}, how...)...)
	return path
}

func ran(t *testing.T, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// inside runs a program in a folder that it takes for all there is.
func inside(t *testing.T, root string, argv ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), argv[0], argv[1:]...)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v in a folder of its own: %v\n%s", argv, err, out)
	}
	return string(out)
}

func put(t *testing.T, from, root, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755); err != nil {
		t.Fatal(err)
	}
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(root, name), os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(out, in); err != nil {
		t.Fatal(err)
	}
	if err := out.Close(); err != nil {
		t.Fatal(err)
	}
}

// libraries are what a program is linked with when it starts.
func libraries(t *testing.T, program string) (paths []string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "ldd", program).CombinedOutput()
	if err != nil && !strings.Contains(string(out), "not a dynamic executable") {
		t.Fatalf("ldd %s: %v\n%s", program, err, out)
	}
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") {
			paths = append(paths, word)
		}
	}
	return paths
}

func TestReleaseNeedsNothing(t *testing.T) {
	popup := built(t)
	if out, _ := exec.CommandContext(t.Context(), "ldd", popup).CombinedOutput(); !strings.Contains(string(out), "not a dynamic executable") {
		t.Errorf("ldd says %s", out)
	}
	// What is built without dqlite says so at this, before it looks at the address.
	out, err := exec.CommandContext(t.Context(), popup, "console", "--data-dir", t.TempDir(), "--cluster-address", "nowhere", "--cloud", "manual").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `"nowhere" is no address of a node`) {
		t.Errorf("of a cluster it says %s, %v", out, err)
	}
	bare := t.TempDir()
	put(t, popup, bare, "popup")
	if out := inside(t, bare, "/popup", "--version"); !strings.Contains(out, "1.2.3-test") {
		t.Errorf("alone it says %q", out)
	}
	busybox, err := exec.LookPath("busybox")
	if err != nil {
		t.Fatal(err)
	}
	put(t, busybox, bare, "busybox")
	for _, library := range libraries(t, busybox) {
		put(t, library, bare, library)
	}
	if out := inside(t, bare, "/busybox", "sh", "-c", "/popup --version && /busybox echo done"); !strings.Contains(out, "1.2.3-test") || !strings.HasSuffix(out, "done\n") {
		t.Errorf("with busybox it says %q", out)
	}
}
