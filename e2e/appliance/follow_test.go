package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
)

// Data that a running program cannot show is refused before any reader meets it,
// and a kill in the middle of its check leaves the good day served.
func TestFollowingProgramNeverShowsBadData(t *testing.T) {
	repo := testutil.NewRepo(t)
	good := repo.Commit(map[string]string{"day": "good"})
	config := writeFiles(t, t.TempDir(), map[string]string{
		"app.yaml":  toyManifest + "  contains: good\ndata:\n  repository: https://data.example.org/x.git\n  mount: days\n",
		"server.py": strings.ReplaceAll("VERSION, FRAIL = 'x', False\n"+toyServer, `VERSION + " for "`, `open("days/day").read() + " for "`),
	})
	root := tempRoot(t)
	u := startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/", "good for")

	repo.Commit(map[string]string{"day": "MIXED"})
	load := startLoad(u.url+"/", 2)
	synced := make(chan error, 1)
	go func() {
		_, err := u.client().Sync(t.Context())
		synced <- err
	}()
	u.until("the bad day is being checked", func() bool { return len(u.lines("starts")) > 1 })
	if got, err := os.Readlink(filepath.Join(root, "var/lib/popup/data/current")); err != nil || got != good {
		t.Errorf("while the bad day is checked current is %s (%v); want %s", got, err, good)
	}
	if done, failed := load.stop(); len(failed) > 0 {
		t.Errorf("%d of %d readers met the bad day: %v", len(failed), done, failed)
	}
	u.kill()
	if err := <-synced; err == nil {
		t.Error("the bad day was taken in")
	}
	u = startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/", "good for")
}
