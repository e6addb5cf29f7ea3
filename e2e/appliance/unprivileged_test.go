package appliance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popup/internal/sandbox"
	"popup/internal/testutil"
)

// nosy answers every request with what it could reach of popup's own.
const nosy = `exec python3 -c '
import http.server,os
lib=os.environ["STATE_DIR"]+"/.."
def tries(what,path,mode):
  try: open(path,mode).close()
  except OSError as e: return what+" closed; "
  return what+" OPEN; "
class H(http.server.BaseHTTPRequestHandler):
  def do_GET(s):
    s.send_response(200);s.end_headers()
    s.wfile.write((tries("journal",lib+"/journal/facts.json","r")+tries("release","app.yaml","r+")+tries("new file","new","w")
      +tries("data",os.environ["DATA_DIR"]+"/day","r+")+tries("state",os.environ["STATE_DIR"]+"/mine","w")).encode())
http.server.ThreadingHTTPServer(("127.0.0.1",int(os.environ["PORT"])),H).serve_forever()'`

// An app cannot read what is popup's, nor write what is published, though popup
// is not root and the app the same user. PHP and a program of its own both live with it.
func TestAppIsConfinedThoughPopupIsNotRoot(t *testing.T) {
	if sandbox.LandlockABI() == 0 {
		t.Log("this kernel has no Landlock: an app of the same user is not confined, and the status says so")
		return
	}
	dir := writeFiles(t, openDir(t), map[string]string{"days/day": "one", "app.yaml": `manifest_version: 1
id: nosy
name: Nosy
data: {source: folder, url: days, mount: days}
serve:
  type: command
  start_command: |
    ` + strings.ReplaceAll(nosy, "\n", "\n    ") + `
`})
	for name, config := range map[string]string{"command": dir, "php": filepath.Dir(qaBoard)} {
		t.Run(name, func(t *testing.T) {
			root := tempRoot(t)
			u := &up{t: t, root: root, log: &testutil.Buffer{}, done: make(chan struct{})}
			if os.Geteuid() == 0 {
				u.as = &syscall.Credential{Uid: 65534, Gid: 65534}
				if err := os.Chown(root, 65534, 65534); err != nil {
					t.Fatal(err)
				}
			}
			u.run("up", "--root", root, "--listen", "127.0.0.1:0", "--config", config)
			u.until("live", func() bool { return u.status().Live })
			if notes := fmt.Sprint(u.status().Notes); !strings.Contains(notes, "Landlock") {
				t.Errorf("the status does not say how the app is confined: %s", notes)
			}
			if _, got := u.get("/"); name == "command" && got != "journal closed; release closed; new file closed; data closed; state OPEN; " {
				t.Errorf("the app reaches: %s", got)
			}
		})
	}
}

// openDir is a folder that every user can read: t.TempDir is closed to others.
func openDir(t *testing.T) string { return filepath.Join(tempRoot(t), "app") }
