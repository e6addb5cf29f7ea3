//go:build dqlite

package release

import (
	"bufio"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
)

const emulator, cross = "qemu-aarch64", "aarch64-linux-gnu-"

// TestReleaseForArm64: the release for machines of another kind runs here, by an emulator
// of their processor. What that does not know, the engine's asynchronous writes, is stood
// in for, and nothing else.
func TestReleaseForArm64(t *testing.T) {
	popup := built(t, "ARCH=arm64")
	if out := ran(t, emulator, popup, "--version"); !strings.Contains(out, "1.2.3-test") {
		t.Errorf("it says %q", out)
	}
	answers(t, popup)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		err = l.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	answers(t, built(t, "ARCH=arm64", "DQLITE="+withWrites(t)), "--cloud", "manual", "--cluster-address", l.Addr().String())
}

// withWrites is the engine for arm64, whose asynchronous writes are done at once.
func withWrites(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../.cache/dqlite-arm64")); err != nil {
		t.Fatal(err)
	}
	library, object := filepath.Join(dir, "lib", "libdqlite.a"), filepath.Join(t.TempDir(), "aio.o")
	ran(t, cross+"gcc", "-O2", "-Wall", "-Wextra", "-Werror", "-c", "testdata/aio.c", "-o", object)
	ran(t, cross+"ar", "d", library, "libdqlite_la-syscall.o")
	ran(t, cross+"ar", "r", library, object)
	return dir
}

// answers starts a console, asks it, and ends it.
func answers(t *testing.T, popup string, flags ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), emulator, append([]string{popup, "console", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, flags...)...)
	var log testutil.Buffer
	cmd.Stderr = &log
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	asked := false
	late := time.AfterFunc(5*time.Minute, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	for line := bufio.NewScanner(out); line.Scan(); {
		url, ok := strings.CutPrefix(line.Text(), "claim: ")
		if !ok {
			continue
		}
		asked = true
		resp, err := http.Get(url)
		if err != nil {
			t.Errorf("%q: %v", flags, err)
		} else if _ = resp.Body.Close(); resp.StatusCode != http.StatusOK {
			t.Errorf("%q: %s is answered %s", flags, url, resp.Status)
		}
		_ = cmd.Process.Signal(syscall.SIGTERM)
	}
	if err := cmd.Wait(); err != nil || !asked {
		t.Errorf("%q: the console ends with %v: %s", flags, err, log.String())
	}
}
