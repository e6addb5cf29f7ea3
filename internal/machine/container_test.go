package machine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"popup/internal/testutil"
)

func TestMain(m *testing.M) {
	if handled, code := Main(os.Args); handled {
		os.Exit(code)
	}
	if root := os.Getenv(orphanVar); root != "" {
		os.Exit(orphan(root))
	}
	os.Exit(m.Run())
}

// testImage returns the image all machines of these tests start from. It is
// kept in the work tree's cache, where the tests of e2e find it too.
func testImage(t *testing.T) *Image {
	t.Helper()
	needRoot(t)
	cache, err := filepath.Abs("../../.cache/machine")
	if err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	image, err := BuildImage(t.Context(), ImageConfig{Packages: []string{"php-fpm"}, Kernel: true, Cache: cache, Log: testLog{t}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, image.Close()) })
	t.Logf("image after %v", time.Since(began).Round(time.Millisecond))
	return image
}

// needRoot leaves a test out that cannot pass without root, and says so; in CI,
// where a test that does not run must not look like one that passed, it fails.
func needRoot(t *testing.T) {
	t.Helper()
	const why = "machines in namespaces need root: run the tests as root"
	switch {
	case os.Geteuid() == 0:
	case os.Getenv("CI") != "":
		t.Fatal(why)
	default:
		t.Skip(why)
	}
}

type testLog struct{ t *testing.T }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(p)))
	return len(p), nil
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

func startTest(t *testing.T, cfg ContainerConfig) *Container {
	t.Helper()
	console := &testutil.Buffer{}
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

// booted waits for cloud-init's end, which is the end of a boot.
func booted(t *testing.T, c *Container) {
	t.Helper()
	began := time.Now()
	inside(t, c, "cloud-init", "status", "--wait")
	t.Logf("%s booted after %v", c.cfg.Name, time.Since(began).Round(time.Millisecond))
}

// leftovers is what of a container can be seen on this machine.
func leftovers(t *testing.T, c *Container) []string {
	t.Helper()
	var left []string
	if _, err := os.Stat(c.cgroup.path); err == nil {
		left = append(left, c.cgroup.path)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	noError(t, err)
	if strings.Contains(string(mounts), c.dir) {
		left = append(left, "a mount in "+c.dir)
	}
	entries, err := os.ReadDir(c.dir)
	noError(t, err)
	for _, entry := range entries {
		left = append(left, filepath.Join(c.dir, entry.Name()))
	}
	if _, err := net.InterfaceByName(c.cfg.Link.name); err == nil {
		left = append(left, "interface "+c.cfg.Link.name)
	}
	return left
}

func TestContainerLife(t *testing.T) {
	c := startTest(t, ContainerConfig{
		Name: "life", Dir: t.TempDir(),
		UserData: []byte("#!/bin/sh\necho once >>/root/ran\n"),
		Files:    map[string][]byte{"/etc/popup-test/file": []byte("laid")},
	})
	booted(t, c)
	if got := inside(t, c, "cat", "/root/ran", "/etc/popup-test/file", "/etc/hostname"); got != "once\nlaidlife\n" {
		t.Errorf("after the first boot the files say %q", got)
	}
	if got := inside(t, c, "systemctl", "--failed", "--no-legend", "--plain"); got != "" {
		t.Errorf("units failed: %s", got)
	}
	boot := inside(t, c, "cat", "/proc/sys/kernel/random/boot_id")
	inside(t, c, "sh", "-c", "echo changed >/etc/popup-test/file")

	if err := c.Reboot(t.Context()); err != nil {
		t.Fatal(err)
	}
	booted(t, c)
	if got := inside(t, c, "cat", "/root/ran", "/etc/popup-test/file"); got != "once\nchanged\n" {
		t.Errorf("after a reboot the files say %q; a reboot is no second first boot", got)
	}
	if got := inside(t, c, "cat", "/proc/sys/kernel/random/boot_id"); got == boot {
		t.Error("the boot after a reboot has the same id")
	}
	if c.Boots() != 2 {
		t.Errorf("%d boots were counted, 2 were made", c.Boots())
	}

	// From inside, as an instance ends itself.
	inside(t, c, "systemctl", "poweroff", "--no-block")
	select {
	case <-c.Done():
	case <-time.After(30 * time.Second):
		t.Fatal("the container was not turned off after 30 s")
	}
	if state, err := c.State(); state != PoweredOff || err != nil {
		t.Errorf("the container is %s (%v), it turned itself off", state, err)
	}
	if _, err := c.Exec(t.Context(), "true"); err == nil || !strings.Contains(err.Error(), "the container is powered off") {
		t.Errorf("Exec in a container that is off: %v", err)
	}
	if err := c.Reboot(t.Context()); err == nil || !strings.Contains(err.Error(), "it is powered off") {
		t.Errorf("Reboot of a container that is off: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Error(err)
	}
	if left := leftovers(t, c); len(left) > 0 {
		t.Errorf("Close left %q", left)
	}
}

func TestContainerIsReachedAndReaches(t *testing.T) {
	link, err := NewLink(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { noError(t, link.Close()) })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "from outside")
	}))
	noError(t, server.Listener.Close())
	if server.Listener, err = net.Listen("tcp", netip.AddrPortFrom(link.HostAddr(), 0).String()); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)

	c := startTest(t, ContainerConfig{Name: "net", Link: link, UserData: []byte(
		"#!/bin/sh\ncurl -sS " + server.URL + " >/root/page\ncd /root && exec systemd-run --unit page -p WorkingDirectory=/root python3 -m http.server 80\n")})
	booted(t, c)
	if got := inside(t, c, "cat", "/root/page"); got != "from outside" {
		t.Errorf("the container read %q from this machine", got)
	}
	inside(t, c, "curl", "-sS", "--retry", "20", "--retry-delay", "1", "--retry-connrefused", "-o", "/dev/null", "http://127.0.0.1/page")
	res, err := http.Get("http://" + c.Addr().String() + "/page")
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	noError(t, errors.Join(err, res.Body.Close()))
	if string(body) != "from outside" {
		t.Errorf("this machine read %q from the container", body)
	}
	// Nothing else is reached: there is no route.
	if out, err := c.Exec(t.Context(), "ip", "route", "get", "192.0.2.1"); err == nil {
		t.Errorf("there is a way out of the container: %s", out)
	}
}

// TestContainerIsConfined only looks: what it looks for would, if it were
// there, change the machine the test runs on.
func TestContainerIsConfined(t *testing.T) {
	c := startTest(t, ContainerConfig{Name: "confined"})
	booted(t, c)
	var rights uint64
	if _, err := fmt.Sscanf(inside(t, c, "grep", "CapBnd", "/proc/1/status"), "CapBnd: %x", &rights); err != nil {
		t.Fatal(err)
	}
	for _, right := range []uint{unix.CAP_SYS_TIME, unix.CAP_SYS_MODULE, unix.CAP_SYS_RAWIO, unix.CAP_SYSLOG, unix.CAP_BPF} {
		if rights&(1<<right) != 0 {
			t.Errorf("a container has the right %d", right)
		}
	}
	for _, name := range append([]string{"sys/class", "proc/sys/vm/swappiness"}, readOnlyKernel...) {
		if _, err := os.Stat("/" + name); err != nil {
			continue // this kernel has none
		}
		if _, err := c.Exec(t.Context(), "test", "-w", "/"+name); err == nil {
			t.Errorf("a container may write to /%s", name)
		}
	}
	for what, argv := range map[string][]string{
		"this machine's files": {"test", "-e", c.dir},
		"other control groups": {"test", "-e", "/sys/fs/cgroup/" + filepath.Base(c.cgroup.path)},
		"this machine's disks": {"sh", "-c", "ls /dev/vd* /dev/sd* /dev/nvme* 2>/dev/null | grep ."},
	} {
		if out, err := c.Exec(t.Context(), argv...); err == nil {
			t.Errorf("a container sees %s: %s", what, out)
		}
	}
	if roots := strings.Count(inside(t, c, "cat", "/proc/1/mountinfo"), " / / "); roots != 1 {
		t.Errorf("a container has %d roots, so it has this machine's below its own", roots)
	}
	// Its own network's parameters are its own.
	inside(t, c, "sysctl", "-q", "net.ipv4.ip_default_ttl=63")
	if init := inside(t, c, "cat", "/proc/1/comm"); init != "systemd\n" {
		t.Errorf("process 1 is %q", init)
	}
}

func TestExecIsBounded(t *testing.T) {
	c := startTest(t, ContainerConfig{Name: "exec"})
	var exit *exec.ExitError
	if out, err := c.Exec(t.Context(), "sh", "-c", "echo said; exit 3"); !errors.As(err, &exit) || exit.ExitCode() != 3 || out != "said\n" {
		t.Errorf("a program that fails: %q, %v", out, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := c.Exec(ctx, "sleep", "777"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that does not end: %v", err)
	}
	if out, err := c.Exec(t.Context(), "pgrep", "-f", "^sleep 777"); err == nil {
		t.Errorf("a program whose time was over still runs: %s", out)
	}
	if _, err := c.Exec(t.Context()); err == nil {
		t.Error("no program was named, and that is no error")
	}
}

func TestContainerRefuses(t *testing.T) {
	image := testImage(t)
	for want, cfg := range map[string]ContainerConfig{
		`the name "Über" may have`:                        {Name: "Über"},
		"a path with a comma, colon or backslash":         {Name: "comma", Dir: t.TempDir() + "/a,b"},
		"no such file or directory":                       {Name: "missing", Dir: t.TempDir() + "/none/none"},
		"the seed's user-data has 1048577 bytes: at most": {Name: "big", UserData: make([]byte, maxSeed+1)},
		"write a file of the first boot: ":                {Name: "escape", Files: map[string][]byte{"../outside": nil}},
		"mount an overlay in ":                            {Name: "lost", Image: &Image{dir: "/lowerdir/that/is/not/there"}},
	} {
		if strings.HasSuffix(cfg.Dir, "a,b") {
			noError(t, os.Mkdir(cfg.Dir, 0o755))
		}
		if cfg.Image == nil {
			cfg.Image = image
		}
		c, err := StartContainer(t.Context(), cfg)
		if err == nil {
			noError(t, c.Close())
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: the error is %v, want %q", cfg.Name, err, want)
		}
	}
	if left, err := os.ReadDir(os.TempDir()); err != nil {
		t.Error(err)
	} else {
		for _, entry := range left {
			if strings.HasPrefix(entry.Name(), "popup-container-") {
				t.Errorf("%s was left", entry.Name())
			}
		}
	}
}

// orphanVar makes the test binary a program that starts a container from the
// image it names, and never closes it.
const orphanVar = "POPUP_TEST_ORPHAN"

func orphan(image string) int {
	c, err := StartContainer(context.Background(), ContainerConfig{Image: &Image{dir: image}, Name: "orphan", Dir: os.Getenv("DIR")})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(c.init.Pid, c.cgroup.path, c.cfg.Link.name)
	<-c.Done()
	return 1
}

func TestContainerEndsWithItsProgram(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), orphanVar+"="+testImage(t).dir, "DIR="+dir)
	cmd.Stderr = testLog{t}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pid int
	var group, link string
	if _, err := fmt.Fscan(out, &pid, &group, &link); err != nil {
		t.Fatal(err)
	}
	init, err := os.FindProcess(pid)
	if err != nil {
		t.Fatal(err)
	}
	if err := init.Signal(unix.Signal(0)); err != nil {
		t.Fatalf("the container's init does not run: %v", err)
	}
	noError(t, cmd.Process.Kill())
	_ = cmd.Wait() // it was killed

	deadline := time.After(10 * time.Second)
	for tick := time.NewTicker(20 * time.Millisecond); ; <-tick.C {
		_, linkErr := net.InterfaceByName(link)
		if errors.Is(init.Signal(unix.Signal(0)), os.ErrProcessDone) && linkErr != nil {
			break
		}
		select {
		case <-deadline:
			t.Fatal("10 s after its program was killed, the container or its link is still there")
		default:
		}
	}
	// All that stays is an empty group and files, for who finds the folder to remove.
	left, err := openCgroup(group)
	if err != nil {
		t.Fatal(err)
	}
	noError(t, left.remove(t.Context()))
}
