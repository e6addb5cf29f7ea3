package local

import (
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"bufio"
	"popup/cloud/kept"
	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/sandbox"
	"popup/internal/testutil"
	"sync"
)

// spy is an app that opens whatever a request names, and says how that went.
const spy = `import http.server, os, urllib.parse
state = os.environ["STATE_DIR"]
open(state + "/mine", "w").close()
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s):
        path = urllib.parse.unquote(s.path[1:])
        body = "the spy is there"
        if path == "built": body = open(path).read().strip()
        elif path == "state": body = state
        elif path:
            try:
                os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)
                body = "OPEN"
            except OSError as e: body = "closed"
        s.send_response(200); s.end_headers(); s.wfile.write(body.encode())
    def log_message(*a): pass
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`

// spyManifest builds what tells whether the build could read a file.
const spyManifest = `manifest_version: 1
id: spy
name: Spy
build_command: if cat %s >/dev/null 2>&1; then echo OPEN >built; else echo closed >built; fi
serve: {type: command, start_command: exec /usr/bin/python3 -B spy.py}
`

// A stranger's app and its build see nothing of the console's, of another instance's,
// and of the home of whoever runs the console, who may be root or nobody special.
func TestStrangersAreConfined(t *testing.T) {
	if sandbox.LandlockABI() == 0 {
		t.Skip("this kernel has no Landlock, and such an app is refused")
	}
	t.Run("as we are", func(t *testing.T) { strangersAreConfined(t, nil) })
	if os.Geteuid() != 0 {
		return // that was without privileges
	}
	t.Run("without privileges", func(t *testing.T) { strangersAreConfined(t, nobody) })
}

func strangersAreConfined(t *testing.T, as *syscall.Credential) {
	s := open(t)
	s.close() // the console is a process of its own here
	base := filepath.Dir(s.opts.Dir)
	secret := write(t, filepath.Join(base, "console/console.db"), "secret") // readable by everybody: nothing but the sandbox is in the way
	home := filepath.Join(base, "home")
	write(t, filepath.Join(home, ".profile"), "")
	s.give(as)
	repo := testutil.NewRepo(t)
	manifest := fmt.Sprintf(spyManifest, secret)
	repo.Commit(map[string]string{"app.yaml": manifest, "spy.py": spy})
	address := testutil.NewGitServer(t, filepath.Dir(repo.Dir)).URL + "/" + filepath.Base(repo.Dir)
	plan := fmt.Sprintf("plan_version: 1\nmanifest:\n  %sservice: {url: %q}\n", strings.TrimSuffix(strings.ReplaceAll(manifest, "\n", "\n  "), "  "), address)
	stranger := func(instance string) console.Launch {
		return console.Launch{Instance: instance, App: "spy", UserData: userData(t, plan)}
	}
	machines, _ := s.asProcess(as, order{Launches: []console.Launch{stranger("one"), stranger("two")}})
	one, two := machines[0].Address, machines[1].Address
	for _, address := range []string{one, two} {
		s.Await(address+"/", "the spy is there")
	}
	if _, built := kepttest.Fetch(one + "/built"); built != "closed" {
		t.Errorf("to the build the console's data is %q", built)
	}
	if environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.up("one"))); err != nil || !strings.Contains(string(environ), "AWS_EC2_METADATA_DISABLED=true\x00") {
		t.Errorf("an instance may sign in as the console's machine: %q, %v", environ, err)
	}
	_, othersState := kepttest.Fetch(two + "/state")
	other := filepath.Join(s.opts.Dir, "two")
	for _, path := range []string{
		secret, filepath.Dir(secret), base, s.opts.Dir, home, filepath.Join(home, ".profile"), userHome(t), "/root",
		other, filepath.Join(other, kept.UserDataName), filepath.Join(other, rootName), filepath.Join(other, configName),
		othersState, filepath.Join(othersState, "mine"), filepath.Join(other, rootName, "var/lib/popup/service"),
		filepath.Join(s.opts.Dir, "one", kept.UserDataName), filepath.Join(s.opts.Dir, "one", configName), filepath.Join(s.opts.Dir, "one", logName),
		filepath.Join(s.opts.Dir, "one", rootName, journalName),
		fmt.Sprintf("/proc/%d/root%s", s.up("one"), secret), fmt.Sprintf("/proc/%d/environ", s.up("two")),
	} {
		if _, got := kepttest.Fetch(one + "/" + url.PathEscape(path)); got != "closed" {
			t.Errorf("%s is %q to an app", path, got)
		}
	}
	_, ownState := kepttest.Fetch(one + "/state")
	for _, path := range []string{"/etc/passwd", ownState, filepath.Join(ownState, "mine")} { // else a spy that sees nothing proves nothing
		if _, got := kepttest.Fetch(one + "/" + url.PathEscape(path)); got != "OPEN" {
			t.Errorf("%s is %q to an app", path, got)
		}
	}
}

// nobody is a user without privileges.
var nobody = &syscall.Credential{Uid: 65534, Gid: 65534}

// give makes as the owner of all that is here; nil: as it is.
func (s *site) give(as *syscall.Credential) {
	s.T.Helper()
	if as == nil {
		return
	}
	owner := fmt.Sprintf("%d:%d", as.Uid, as.Gid)
	if out, err := exec.Command("chown", "-R", owner, filepath.Dir(s.opts.Dir)).CombinedOutput(); err != nil {
		s.T.Fatalf("%v: %s", err, out)
	}
}

func userHome(t *testing.T) string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	return home
}

// asProcess carries an order out by a console that is a process of its own, as another
// user where as is not nil. It returns what was launched; the console goes on until
// kill, or the test's end.
func (s *site) asProcess(as *syscall.Credential, o order) (machines []console.Machine, kill func()) {
	s.T.Helper()
	cmd := s.process(as, o)
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		s.T.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		s.T.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	})
	s.T.Cleanup(kill)
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err != nil {
		s.T.Fatalf("the console did not launch: %v", err)
	}
	if err := json.Unmarshal(line, &machines); err != nil {
		s.T.Fatal(err)
	}
	return machines, kill
}

// process is such a console, not started yet.
func (s *site) process(as *syscall.Credential, o order) *exec.Cmd {
	s.T.Helper()
	o.Dir, o.Popup = s.opts.Dir, program
	text, err := json.Marshal(o)
	if err != nil {
		s.T.Fatal(err)
	}
	cmd := exec.Command("/proc/self/exe") // its path is closed to others
	cmd.Env = append(os.Environ(), asConsole+"="+string(text))
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: as}
	return cmd
}
