package main

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// A folder that only its author has does not keep an app from being launched
// with data and code from elsewhere.
func TestGivenSourcesReplaceFoldersOfAServersManifest(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": `manifest_version: 1
id: board
name: Board
service: {repository: /home/author/board}
data: {source: folder, url: /home/author/days, mount: days}
serve: {type: static}
`})
	address := testutil.NewGitServer(t, filepath.Dir(repo.Dir)).URL + "/" + filepath.Base(repo.Dir)
	args := []string{"userdata", address, "--binary", "https://a.example/popup", "--data", "https://example.org/days"}
	var out, errs bytes.Buffer
	if code := run(t.Context(), args, &out, &errs); code != exitUsage || !strings.Contains(errs.String(), `service.repository: "/home/author/board" is a folder of this machine`) {
		t.Errorf("with the service still in a folder: exit code %d, %s", code, errs.String())
	}
	if strings.Contains(errs.String(), "days") {
		t.Errorf("what --data replaces is complained about: %s", errs.String())
	}
	text, _ := mustRunPopup(t, append(args, "--service", "https://example.org/board")...)
	if !strings.Contains(text, "url: https://example.org/days") || !strings.Contains(text, "url: https://example.org/board") {
		t.Errorf("the plan does not name what was given:\n%s", text)
	}
}
