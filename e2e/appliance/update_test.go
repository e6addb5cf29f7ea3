package appliance

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/launcher"
)

// A new release of a program starts beside the old one, and no request fails.
func TestServiceUpdateUnderLoad(t *testing.T) {
	t.Parallel()
	repo := toyRepo(t)
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.awaitHealthy()
	load := startLoad(u.url+"/", 4)
	for _, version := range []string{"two", "three", "four"} {
		commit := repo.Commit(toy(version, false))
		report, err := u.client().Sync(t.Context())
		if err != nil || string(report.Served.Release) != commit {
			t.Fatalf("sync: %+v, %v; want %s", report, err, commit)
		}
		u.await("/", version+" for")
	}
	done, failed := load.stop()
	if len(failed) > 0 || done < 20 {
		t.Errorf("%d of %d requests failed: %v", len(failed), done, failed)
	}
	starts := u.lines("starts")
	u.until("the old releases have ended", func() bool {
		return !alive(starts[0]) && !alive(starts[1]) && !alive(starts[2])
	})
	if len(starts) != 4 || !alive(starts[3]) {
		t.Errorf("the starts are %v; want four, and the last one running", starts)
	}
}

// A release that turns unhealthy soon after it was flipped to is taken back by
// itself, and is not tried again.
func TestUnhealthyReleaseIsTakenBack(t *testing.T) {
	t.Parallel()
	repo, root := testutil.NewRepo(t), tempRoot(t)
	good := repo.Commit(toy("good", false))
	u := startUp(t, root, "--config", repo.URL())
	u.awaitHealthy()
	bad := repo.Commit(toy("bad", true))
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatalf("sync: %v; want it to come up at first", err)
	}
	u.until("taken back", func() bool {
		s := u.status()
		return string(s.Serving.Release) == good && len(s.Service.Refused) == 1
	})
	u.await("/", "good for")
	s := u.awaitHealthy()
	if r := s.Service.Refused[0]; string(r.Revision) != bad || !strings.Contains(r.Why, "turned unhealthy") || !strings.Contains(r.Why, "status 7") {
		t.Errorf("refused is %+v; want the bad release, and how it ended", r)
	}
	if _, err := u.client().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "is not tried again until the source goes on") {
		t.Errorf("sync again: %v; want that it is not tried again", err)
	}
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root, "--config", repo.URL())
	if s := u.awaitHealthy(); string(s.Serving.Release) != good {
		t.Errorf("after a restart %s is served; want the good release %s", s.Serving.Release, good)
	}
	mended := repo.Commit(toy("mended", false))
	if report, err := u.client().Sync(t.Context()); err != nil || string(report.Served.Release) != mended {
		t.Errorf("sync of the mend: %+v, %v", report, err)
	}
}

// Where a person went back to is not taken back by itself: a crash there is restarted.
func TestRollbackIsNotTakenBack(t *testing.T) {
	t.Parallel()
	repo := testutil.NewRepo(t)
	old := repo.Commit(toy("old", false))
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.awaitHealthy()
	repo.Commit(toy("new", false))
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "service"}); err != nil {
		t.Fatal(err)
	}
	u.touch("sick")
	u.until("restarted", func() bool { s := u.status(); return s.Restarts == 1 && s.Healthy })
	if s := u.status(); string(s.Serving.Release) != old || len(s.Service.Refused) > 0 || string(s.Service.Held) != old {
		t.Errorf("serving %s, refused %+v, held %s; want the held release %s", s.Serving.Release, s.Service.Refused, s.Service.Held, old)
	}
}

// What a person goes back to and does not come up is not held on to.
func TestRollbackToWhatFailsHoldsNothing(t *testing.T) {
	t.Parallel()
	repo := testutil.NewRepo(t)
	files := toy("old", false)
	files["server.py"] = strings.Replace(files["server.py"], "if has(\"no-start\"):", "if has(\"no-old\"):", 1)
	repo.Commit(files)
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.awaitHealthy()
	newest := repo.Commit(toy("new", false))
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.touch("no-old")
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "service"}); err == nil || !strings.Contains(err.Error(), "the database is locked") {
		t.Errorf("rollback to what does not start: %v; want why", err)
	}
	s := u.status()
	if string(s.Serving.Release) != newest || s.Service.Held != "" || !s.Healthy {
		t.Errorf("serving %s, held %q; want %s, and nothing held", s.Serving.Release, s.Service.Held, newest)
	}
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Errorf("sync afterwards: %v", err)
	}
}

// A build makes what is served. One that fails is not served, says why, and is tried again.
func TestBuild(t *testing.T) {
	t.Parallel()
	manifest := staticManifest + `build_command: |
  test -e "$STATE_DIR/no-build" && { echo the compiler is out of paper; exit 4; }
  cat part > index.html
`
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": manifest, "part": "welcome one"})
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome one")
	u.touch("no-build")
	repo.Commit(map[string]string{"part": "welcome two"})
	for range 2 {
		if _, err := u.client().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), "the compiler is out of paper") || !strings.Contains(err.Error(), "build_command") {
			t.Fatalf("sync with a build that fails: %v; want its output", err)
		}
	}
	u.await("/", "welcome one")
	if s := u.status(); len(s.Service.Refused) > 0 || !strings.Contains(s.Service.LastError, "out of paper") {
		t.Errorf("refused %+v, last error %q; want it to be tried again", s.Service.Refused, s.Service.LastError)
	}
	u.remove("no-build")
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.await("/", "welcome two")
	if left, err := filepath.Glob(filepath.Join(u.root, "var/lib/popup/service/tmp-*")); err != nil || len(left) > 0 {
		t.Errorf("failed builds left %v %v", left, err)
	}
	built := filepath.Join(u.root, "var/lib/popup/service/current/index.html")
	if info, err := os.Stat(built); err != nil || info.Mode().Perm() != 0o444 {
		t.Errorf("what was built is %v %v; want it read-only", info, err)
	}
}
