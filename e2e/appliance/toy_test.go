package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/launcher"
)

// toyServer is an app that misbehaves when files in its state folder, or requests, tell it to.
const toyServer = `import http.server, os, sys, time
state = os.environ["STATE_DIR"] + "/"
def note(name, text):
    with open(state + name, "a") as f: f.write(text + "\n")
def has(name): return os.path.exists(state + name)
note("starts", str(os.getpid()))
if has("no-start"): sys.exit("the database is locked")
if has("sick"): os.remove(state + "sick")
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s):
        if s.path == "/crash":
            print("out of memory, they say", flush=True)
            os._exit(7)
        status, body = 200, VERSION + " for " + os.environ.get("POPUP_INSTANCE", "nobody")
        if has("sick"):
            note("sick-answers", s.path)
            status, body = 500, "no"
        s.send_response(status); s.end_headers(); s.wfile.write(body.encode())
    def log_message(*a): pass
http.server.ThreadingHTTPServer.request_queue_size = 64
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H)
if FRAIL:
    import threading
    threading.Timer(0.3, lambda: os._exit(7)).start()
server.serve_forever()
`

const toyManifest = `manifest_version: 1
id: toy
name: Toy
serve:
  type: command
  start_command: exec python3 -B server.py
health_check:
  interval: 1s
  grace_period: 15s
`

// toy is the source of the toy app, in a version; a frail one ends 0.3 s after it came up.
func toy(version string, frail bool) map[string]string {
	is := "False"
	if frail {
		is = "True"
	}
	return map[string]string{
		"app.yaml":  toyManifest,
		"server.py": "VERSION, FRAIL = '" + version + "', " + is + "\n" + toyServer,
	}
}

func toyRepo(t *testing.T) *testutil.GitRepo {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(toy("one", false))
	return repo
}

// state is the path of a file in the state folder.
func (u *up) state(name string) string { return filepath.Join(u.root, "var/lib/popup/state", name) }

// touch and remove switch what the toy does.
func (u *up) touch(name string) {
	u.t.Helper()
	if err := os.WriteFile(u.state(name), nil, 0o666); err != nil {
		u.t.Fatal(err)
	}
	if err := os.Chmod(u.state(name), 0o666); err != nil {
		u.t.Fatal(err)
	}
}

func (u *up) remove(name string) {
	u.t.Helper()
	if err := os.Remove(u.state(name)); err != nil {
		u.t.Fatal(err)
	}
}

// lines are those of a file in the state folder; none when it is not there.
func (u *up) lines(name string) []string {
	u.t.Helper()
	text, err := os.ReadFile(u.state(name))
	if err != nil && !os.IsNotExist(err) {
		u.t.Fatal(err)
	}
	return strings.Fields(string(text))
}

// journalOf returns the entries of one event.
func (u *up) journalOf(event string) []launcher.Entry {
	u.t.Helper()
	var found []launcher.Entry
	for _, e := range u.status().Journal {
		if e.Event == event {
			found = append(found, e)
		}
	}
	return found
}

// awaitHealthy waits until the status says so and the address is ready.
func (u *up) awaitHealthy() launcher.Status {
	u.t.Helper()
	var s launcher.Status
	u.untilEvery(20*time.Millisecond, "healthy", func() bool { s = u.status(); return s.Healthy })
	u.untilEvery(20*time.Millisecond, "ready", func() bool { status, _ := u.get("/.well-known/popup/ready"); return status == 200 })
	return s
}
