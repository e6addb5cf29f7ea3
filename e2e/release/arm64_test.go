//go:build dqlite

package release

import (
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
	answers(t, built(t, "ARCH=arm64", "DQLITE="+withWrites(t)), "--cloud", "manual", "--cluster-address", "127.0.64.1:9000")
}

// withWrites is the engine for arm64, whose asynchronous writes are done at once.
func withWrites(t *testing.T) string {
	t.Helper()
	engine, dir := os.Getenv("DQLITE_ARM64"), t.TempDir()
	if engine == "" {
		t.Fatal("DQLITE_ARM64 does not say where the engine for arm64 is; run make test-arm64, which does")
	}
	if err := os.CopyFS(dir, os.DirFS(engine)); err != nil {
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
	argv := append([]string{popup, "console", "--data-dir", t.TempDir(), "--listen", "127.0.0.1:0"}, flags...)
	p := testutil.Start(t, exec.Command(emulator, argv...))
	browser := http.Client{Timeout: time.Minute}
	defer browser.CloseIdleConnections()
	url := p.Says("claim: ", 5*time.Minute)
	resp, err := browser.Get(url)
	if err == nil {
		err = testutil.Read(resp, nil)
	}
	if err != nil {
		t.Errorf("%q: %s: %v", flags, url, err)
	}
	if state := p.End(syscall.SIGTERM); !state.Success() {
		t.Errorf("%q: the console ends with %v: %s", flags, state, p.Log())
	}
}
