package appliance

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"popup/internal/testutil"
)

// What somebody edits in a published tree, data or release, is mended by the next
// sync that is asked for, and readers get what is right.
func TestLocalEditsAreMended(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"day": "one"})
	root := tempRoot(t)
	u := startUp(t, root, "--config", dataApp(t, "", ""), "--data", repo.URL())
	u.await("/days/day", "one")
	for path, file := range map[string]string{"/days/day": "data/current/day", "/": "service/current/index.html"} {
		_, before := u.get(path)
		published := filepath.Join(root, "var/lib/popup", file)
		if err := os.Chmod(published, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(published, []byte("edited by hand"), 0o644); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		_, err := u.client().Sync(ctx)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if _, after := u.get(path); after != before {
			t.Errorf("%s is %q; want %q", path, after, before)
		}
		if text, err := os.ReadFile(published); err != nil || string(text) == "edited by hand" {
			t.Errorf("%s still holds %q, %v", published, text, err)
		}
	}
}

// A program sees its release in a view, which is made anew of a release that was mended.
func TestMendedReleaseReachesAProgram(t *testing.T) {
	app := writeFiles(t, t.TempDir(), map[string]string{
		"app.yaml": `manifest_version: 1
id: days
name: Days
serve: {type: command, start_command: exec python3 -m http.server --bind 127.0.0.1 "$PORT"}
health_check: {grace_period: 30s}
data: {repository: https://data.example.org/given-by-flag.git, mount: days}
`,
		"index.html": "welcome",
	})
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"day": "one"})
	root := tempRoot(t)
	u := startUp(t, root, "--config", app, "--data", repo.URL())
	u.await("/", "welcome")
	path := filepath.Join(root, "var/lib/popup/service/current/index.html")
	if err := errors.Join(os.Chmod(path, 0o644), os.WriteFile(path, []byte("edited by hand"), 0o644)); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := u.client().Sync(ctx); err != nil {
		t.Fatal(err)
	}
	if _, after := u.get("/"); after != "welcome" {
		t.Errorf("it shows %q", after)
	}
}
