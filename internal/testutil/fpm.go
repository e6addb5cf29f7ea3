package testutil

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// An FPM is a real php-fpm (Debian's package of that name) that reads no php.ini.
type FPM struct {
	Socket string
	cmd    *exec.Cmd
}

// NewFPM answers with so many processes until the test is over. Settings are lines of its
// pool, like php_value[display_errors] = 0.
func NewFPM(t testing.TB, processes int, settings ...string) *FPM {
	t.Helper()
	programs, err := filepath.Glob("/usr/sbin/php-fpm*")
	if err != nil || len(programs) == 0 {
		t.Fatal("php-fpm is not installed: apt-get install php-fpm")
	}
	dir, err := os.MkdirTemp("", "fpm") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	f, log, config := &FPM{Socket: filepath.Join(dir, "s")}, filepath.Join(dir, "log"), filepath.Join(dir, "conf")
	args := []string{"-n", "-F", "-y", config}
	if os.Geteuid() == 0 {
		args, settings = append(args, "-R"), append([]string{"user = root", "group = root"}, settings...)
	}
	text := fmt.Sprintf("[global]\nerror_log = %s\n[www]\nlisten = %s\npm = static\npm.max_children = %d\n%s\n", log, f.Socket, processes, strings.Join(settings, "\n"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	f.cmd = exec.Command(programs[len(programs)-1], args...)
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // also when the tests time out
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Stop)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for range 1000 {
		if conn, err := net.Dial("unix", f.Socket); err == nil {
			_ = conn.Close()
			return f
		}
		<-tick.C
	}
	said, _ := os.ReadFile(log)
	t.Fatalf("php-fpm does not listen: %s", said)
	return nil
}

// Stop kills it and its processes. It may be called again.
func (f *FPM) Stop() {
	if f.cmd.ProcessState == nil {
		_ = syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
		_ = f.cmd.Wait() // it was killed
	}
}
