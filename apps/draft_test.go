package apps

import (
	"errors"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDraft(t *testing.T) {
	text, seen, err := Draft(folder(t, "wall", map[string]string{"Procfile": "web: ./wall\n", appJSONFile: herokuApp}), "")
	if err != nil {
		t.Fatal(err)
	}
	if want := `there is no app.yaml; detected a command app: line 1 of Procfile starts it with "./wall", described by app.json`; seen != want {
		t.Errorf("seen %q, want %q", seen, want)
	}
	m, err := Parse(FileName, text)
	if err != nil {
		t.Fatal(err)
	}
	if m.ID != "wall" || m.Serve.StartCommand != "./wall" || m.HealthCheck.HTTPPath != "/" || len(m.Env) != 4 || m.Service.Repository != "" {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(string(text), "\n# static (files), php, or command (a program that listens on 127.0.0.1:$PORT).\nserve:\n") {
		t.Errorf("no comment above serve:\n%s", text)
	}
}

func TestDraftOfARepository(t *testing.T) {
	const repository = "https://example.org/owner/my-site"
	text, _, err := Draft(folder(t, "tmp-123", map[string]string{"index.html": "x"}), repository)
	if err != nil {
		t.Fatal(err)
	}
	m, err := Parse(FileName, text)
	if err != nil || m.ID != "my-site" || m.Service.Repository != repository {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestDraftOfNothing(t *testing.T) {
	text, seen, err := Draft(folder(t, "empty", map[string]string{"README": "x"}), "")
	if err != nil || seen != "nothing was recognised; serve is a guess, say there how the app is served" {
		t.Errorf("%q, %v", seen, err)
	}
	if m, err := Parse(FileName, text); err != nil || m.Serve.Type != ServeStatic {
		t.Errorf("%+v, %v", m, err)
	}
}

func TestDraftRefuses(t *testing.T) {
	if _, _, err := Draft(folder(t, "x", map[string]string{FileName: ""}), ""); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	if _, _, err := Draft(folder(t, "x", map[string]string{"index.html": "x", appJSONFile: "{"}), ""); err == nil || !strings.Contains(err.Error(), "is not JSON") {
		t.Error(err)
	}
}

// TestDraftRestIsRight takes the comment signs off what a draft says besides, and reads it.
func TestDraftRestIsRight(t *testing.T) {
	text := plainManifest
	for line := range strings.Lines(draftRest) {
		if rest, ok := strings.CutPrefix(line, "# "); ok && rest != "More that may be said:\n" {
			text += rest
		}
	}
	m, err := Parse(FileName, []byte(text))
	if err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	if m.Data == nil || m.State == nil || m.Lifetime.MaxTTL == 0 {
		t.Errorf("a part is missing: %s", cmp.Diff(Manifest{}, m))
	}
}
