package machine

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestMain(m *testing.M) {
	if handled, code := Main(os.Args); handled {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

// testImage returns the image all machines of these tests start from. It is
// kept in the work tree's cache, where other packages' tests find it too.
func testImage(t *testing.T) *Image {
	t.Helper()
	needRoot(t)
	cache, err := filepath.Abs("../../.cache/machine")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	image, err := BuildImage(t.Context(), ImageConfig{Kernel: true, Cache: cache, Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, image.Close()) })
	t.Logf("image after %v", time.Since(began).Round(time.Millisecond))
	return image
}

// needRoot fails a test that cannot pass without root, and says so.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Fatal("machines in namespaces need root: run the tests as root")
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

// A logBuffer may be read while it is written.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func startTest(t *testing.T, cfg ContainerConfig) *Container {
	t.Helper()
	console := &logBuffer{}
	cfg.Console = console
	if cfg.Image == nil {
		cfg.Image = testImage(t)
	}
	c, err := StartContainer(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		noError(t, c.Close())
		if t.Failed() {
			t.Logf("console:\n%s", console)
		}
	})
	return c
}

func inside(t *testing.T, c *Container, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := c.Exec(ctx, argv...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return out
}

func TestContainerLife(t *testing.T) {
	const userData = "#!/bin/sh\necho said by user-data\necho once >>/root/ran\n"
	image := testImage(t)
	began := time.Now()
	c := startTest(t, ContainerConfig{Image: image, Name: "life", UserData: []byte(userData), Dir: t.TempDir()})
	out := inside(t, c, "cloud-init", "status", "--wait", "--long")
	t.Logf("booted after %v: %s", time.Since(began), out)
	t.Log(inside(t, c, "systemd-analyze"))
	t.Log(inside(t, c, "systemctl", "--failed"))
	t.Log(inside(t, c, "sh", "-c", "ip addr; tail -n99 /run/systemd/network/* /etc/systemd/network/*; journalctl -u systemd-networkd -u systemd-networkd-wait-online; networkctl status eth0; systemd-analyze blame"))
	t.Log(inside(t, c, "cat", "/root/ran", "/proc/sys/kernel/random/boot_id"))
	began = time.Now()
	if err := c.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("reboot %v", time.Since(began))
	out = inside(t, c, "cloud-init", "status", "--wait", "--long")
	t.Logf("booted after %v: %s", time.Since(began), out)
	t.Log(inside(t, c, "cat", "/root/ran", "/proc/sys/kernel/random/boot_id"))
	began = time.Now()
	if err := c.PowerOff(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Logf("poweroff %v", time.Since(began))
	t.Fail()
}
