package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/launcher"
	"popup/launcher/front"
)

const phpManifest = `manifest_version: 1
id: wall
name: Wall
serve: {type: php}
state: {mount: uploads}
health_check: {contains: welcome}
`

// Nothing that a visitor uploaded runs, whatever it is called, and a page's
// complaints reach popup's own log.
func TestUploadedPHPNeverRuns(t *testing.T) {
	t.Parallel()
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": phpManifest, "index.php": `<?php error_log("a word from the page"); echo "welcome";`})
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome")
	evil := `<?php touch(getenv("STATE_DIR") . "/it-ran"); echo "ran " . (6 * 7);`
	writeFiles(t, u.state(""), map[string]string{"x.php": evil, "x.jpg": evil, "folder/index.php": evil, "x.phtml": evil, "x.php.jpg": evil})
	if out, err := filepath.Glob(u.state("*")); err != nil || len(out) < 4 {
		t.Fatalf("the uploads are %v %v", out, err)
	}
	if err := os.Chmod(u.state(""), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"x.php", "x.jpg/y.php", "x.jpg/.php", "x.php/y", "folder/", "folder/index.php", "x.phtml", "x.php.jpg", "x.jpg%00.php", "x.PHP", "../uploads/x.php"} {
		if _, body := u.get("/uploads/" + path); strings.Contains(body, "ran 42") {
			t.Errorf("/uploads/%s ran", path)
		}
	}
	if _, err := os.Stat(u.state("it-ran")); err == nil {
		t.Error("an upload ran")
	}
	u.until("the page's complaint is in the log", func() bool { return strings.Contains(u.log.String(), "a word from the page") })
}

// A page that dies is unhealthy, and the status says where.
func TestFatalPHPIsUnhealthyAndSaysWhy(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": phpManifest, "index.php": `<?php function twice($a, $a) {} echo "welcome";`})
	u := startUp(t, tempRoot(t), "--config", dir)
	u.until("the check has failed", func() bool { return u.phase(launcher.PhaseCheck).State == front.PhaseFailed })
	if s := u.status(); s.Healthy || !strings.Contains(s.Why, "Redefinition of parameter $a") {
		t.Errorf("healthy %v, why %q; want PHP's own words", s.Healthy, s.Why)
	}
	if _, page := u.get("/"); strings.Contains(page, "Redefinition") {
		t.Errorf("the page shows the output of the app:\n%s", page)
	}
}
