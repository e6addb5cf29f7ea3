package appliance

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// An app that tries everything it may not is served by a popup that is root, and
// gets nowhere: not to popup's files, its socket or its process, not to more
// rights, not into what is published, not to the instance metadata.
func TestMisbehavingAppGetsNowhere(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Log("popup is not root here; TestAppIsConfinedThoughPopupIsNotRoot is about that")
		return
	}
	service, root := openDir(t), tempRoot(t)
	if err := os.MkdirAll(service, 0o755); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", filepath.Join(service, "misbehave"), "popup/internal/testutil/misbehave")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build misbehave: %v %s", err, out)
	}
	lib := filepath.Join(root, "var/lib/popup")
	flags := []string{
		"-read", filepath.Join(root, "etc/popup"), "-read", filepath.Join(root, "etc/popup/secrets.json"),
		"-read", filepath.Join(lib, "journal"), "-read", filepath.Join(lib, "vault"),
		"-connect", filepath.Join(root, "run/popup/control/control.sock"),
		"-change", filepath.Join(lib, "service/current/app.yaml"), "-write", filepath.Join(lib, "service"),
		"-change", filepath.Join(lib, "data/current/day"), "-write", filepath.Join(lib, "data"), "-write", filepath.Join(lib, "views"),
		"-reach", "169.254.169.254:80", "-scratch", "$STATE_DIR",
	}
	writeFiles(t, service, map[string]string{"days/day": "one", "app.yaml": fmt.Sprintf(`manifest_version: 1
id: misbehave
name: Misbehave
data: {source: folder, url: days, mount: days}
env: {KEY: {generator: secret}}
serve:
  type: command
  start_command: exec ./misbehave %s -pid $(tr -dc 0-9 <$STATE_DIR/popup.pid) serve
`, strings.Join(flags, " "))})
	// What it tries to signal, trace and look into is this test, which is root as popup is.
	state := filepath.Join(lib, "state")
	if err := os.MkdirAll(state, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(state, "popup.pid"), fmt.Append(nil, os.Getpid()), 0o644); err != nil {
		t.Fatal(err)
	}
	u := startUp(t, root, "--config", service)
	u.until("live", func() bool { return u.status().Live })
	_, body := u.get("/")
	var report []struct {
		Name    string
		Allowed bool
		Why     string
	}
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatalf("read the app's report: %v\n%s", err, body)
	}
	if len(report) < 20 {
		t.Errorf("the app tried %d things; want at least 20: %s", len(report), body)
	}
	for _, attempt := range report {
		if attempt.Allowed {
			t.Errorf("the app may %s", attempt.Name)
		}
	}
	t.Logf("%d attempts, all refused but those named above", len(report))
}
