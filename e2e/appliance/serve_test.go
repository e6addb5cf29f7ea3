package appliance

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/launcher"
	"popup/launcher/front"
)

const staticManifest = `manifest_version: 1
id: pages
name: Pages
serve:
  type: static
health_check:
  contains: welcome
`

// A static app from a repository: live, updated by sync, rolled back, held and released.
func TestStaticAppFollowsItsRepository(t *testing.T) {
	repo := testutil.NewRepo(t)
	first := repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome one"})
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome one")

	second := repo.Commit(map[string]string{"index.html": "welcome two"})
	report, err := u.client().Sync(t.Context())
	if err != nil || !report.Changed || string(report.Served.Release) != second {
		t.Fatalf("sync: %+v, %v; want the release %s", report, err, second)
	}
	u.await("/", "welcome two")

	if report, err = u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "service"}); err != nil || string(report.Served.Release) != first {
		t.Fatalf("rollback: %+v, %v; want the release %s", report, err, first)
	}
	u.await("/", "welcome one")
	repo.Commit(map[string]string{"index.html": "welcome three"})
	if report, err = u.client().Sync(t.Context()); err == nil && report.Changed {
		t.Fatalf("a held release was moved by sync: %+v", report)
	}
	if _, err = u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "service", Release: true}); err != nil {
		t.Fatalf("release: %v", err)
	}
	u.await("/", "welcome three")
}

// A release that does not come up healthy is refused, and what was served goes on.
func TestBadReleaseIsRefused(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome one"})
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome one")

	bad := repo.Commit(map[string]string{"index.html": "broken"})
	_, err := u.client().Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), `does not contain "welcome"`) {
		t.Fatalf("sync of a broken release: %v; want the reason", err)
	}
	u.await("/", "welcome one")
	s := u.status()
	if !s.Healthy || len(s.Service.Refused) != 1 || string(s.Service.Refused[0].Revision) != bad {
		t.Errorf("status: healthy %v, refused %+v; want the good release served and %s refused", s.Healthy, s.Service.Refused, bad)
	}
	repo.Commit(map[string]string{"index.html": "welcome back"})
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatalf("sync after the mend: %v", err)
	}
	u.await("/", "welcome back")
}

// A second start serves what the first one installed, with the origin gone.
func TestSecondStartIsNotASecondInstall(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome one"})
	root := tempRoot(t)
	u := startUp(t, root, "--config", repo.URL())
	u.await("/", "welcome one")
	instance := u.status().Instance
	if err := u.stop(); err != nil {
		t.Fatalf("stop: %v", err)
	}
	config := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(config, []byte(staticManifest), 0o644); err != nil {
		t.Fatal(err)
	}
	gone := repo.Dir + ".gone"
	if err := os.Rename(repo.Dir, gone); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root, "--config", config, "--service", repo.URL())
	u.await("/", "welcome one")
	s := u.status()
	if s.Instance != instance {
		t.Errorf("the instance is %s after a restart and was %s", s.Instance, instance)
	}
	for _, p := range s.Phases[:4] {
		if p.State != front.PhaseKept {
			t.Errorf("phase %q is %s after a restart; want kept", p.Name, p.State)
		}
	}
}

// While it boots, the address answers 503 with the phases and no address or output in it.
func TestBootPageSaysWhatFailedAndNothingMore(t *testing.T) {
	config := writeFiles(t, t.TempDir(), map[string]string{"app.yaml": staticManifest})
	missing := filepath.Join(t.TempDir(), "no-such-repository.git")
	u := startUp(t, tempRoot(t), "--config", config, "--service", "file://"+missing)
	u.until("the phase has failed", func() bool { return u.phase(launcher.PhaseService).State == front.PhaseFailed })
	resp, err := http.Get(u.url + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	_, body := u.get("/")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("booting answers %s, Retry-After %q; want 503 with one", resp.Status, resp.Header.Get("Retry-After"))
	}
	if !strings.Contains(body, "fetch service") || strings.Contains(body, "no-such-repository") {
		t.Errorf("the boot page must name the phase and not the address:\n%s", body)
	}
	p := u.phase(launcher.PhaseService)
	if !strings.Contains(p.Detail, "no-such-repository") || p.NextTry == nil || p.NextTry.Before(time.Now().Add(-time.Minute)) {
		t.Errorf("the status must name the address and the next try: %+v", p)
	}
}

// What was installed and does not come up any more is mended from upstream.
func TestBrokenInstallIsMendedFromUpstream(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome one"})
	root := tempRoot(t)
	u := startUp(t, root, "--config", repo.URL())
	u.await("/", "welcome one")
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	strict := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(strict, []byte(strings.Replace(staticManifest, "welcome", "welcome two", 1)), 0o644); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root, "--config", strict, "--service", repo.URL())
	u.until("the check has failed", func() bool { return u.phase(launcher.PhaseCheck).State == front.PhaseFailed })
	repo.Commit(map[string]string{"index.html": "welcome two"})
	u.await("/", "welcome two")
}
