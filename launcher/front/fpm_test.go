package front

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// An fpm is a real php-fpm on a socket of its own.
type fpm struct {
	socket string
	log    string
	cmd    *exec.Cmd
}

// startFPM starts php-fpm (Debian's php-fpm package) with at most children processes.
func startFPM(t *testing.T, children int) *fpm {
	t.Helper()
	program := ""
	found, _ := filepath.Glob("/usr/sbin/php-fpm*")
	for _, name := range append(found, "php-fpm") {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Fatal("php-fpm is not installed: apt-get install php-fpm")
	}
	dir, err := os.MkdirTemp("", "fpm") // t.TempDir's paths are too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	f := &fpm{socket: filepath.Join(dir, "s"), log: filepath.Join(dir, "log")}
	owner := ""
	args := []string{"-n", "-F", "-y", filepath.Join(dir, "conf")}
	if os.Geteuid() == 0 {
		owner = "user = root\ngroup = root\n"
		args = append(args, "-R")
	}
	conf := fmt.Sprintf("[global]\nerror_log = %s\n[www]\nlisten = %s\n%spm = static\npm.max_children = %d\n"+
		"php_admin_value[cgi.fix_pathinfo] = 0\nphp_admin_value[display_errors] = 0\nphp_admin_value[log_errors] = 1\n"+
		"php_admin_value[post_max_size] = 64M\nphp_admin_value[upload_max_filesize] = 64M\nphp_admin_value[realpath_cache_ttl] = 120\n", f.log, f.socket, owner, children)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	f.cmd = exec.Command(program, args...)
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM} // also when the tests time out
	if err := f.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.stop)
	for range 500 {
		if conn, err := net.Dial("unix", f.socket); err == nil {
			conn.Close()
			return f
		}
		time.Sleep(10 * time.Millisecond)
	}
	log, _ := os.ReadFile(f.log)
	t.Fatalf("php-fpm does not listen: %s", log)
	return nil
}

func (f *fpm) stop() {
	syscall.Kill(-f.cmd.Process.Pid, syscall.SIGKILL)
	f.cmd.Wait()
}

func (f *fpm) handler(t testing.TB, view string, o PHPOptions) http.Handler {
	t.Helper()
	o.Address, o.View, o.Release = f.socket, view, openRoot(t, view)
	h, err := PHP(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}
