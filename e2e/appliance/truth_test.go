package appliance

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/launcher"
)

// A pass says what it cost: one small request when nothing changed.
func TestSyncSaysWhatItCost(t *testing.T) {
	t.Parallel()
	repo := staticRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	u := startUp(t, tempRoot(t), "--config", server.URL+"/upstream")
	u.await("/", "welcome one")
	pass := func() map[string]any {
		t.Helper()
		before := server.Requests()
		out, diag, code := popup(t, "", "sync", "--root", u.root, "--json")
		var report map[string]any
		if err := json.Unmarshal([]byte(out), &report); err != nil || code != 0 {
			t.Fatalf("exit %d, %v: %s %s", code, err, out, diag)
		}
		for _, key := range []string{"requests", "bytes_in", "bytes_out", "took", "served", "wanted", "changed"} {
			if _, ok := report[key]; !ok {
				t.Errorf("the report has no %q: %s", key, out)
			}
		}
		if asked := server.Requests() - before; report["requests"] != float64(asked) {
			t.Errorf("it says %v requests; the server saw %d", report["requests"], asked)
		}
		return report
	}
	pass()
	poll := pass()
	if in := poll["bytes_in"].(float64); poll["requests"] != 1.0 || in < 100 || in > 400 || poll["changed"] != false {
		t.Errorf("without news it costs %v", poll)
	}
	repo.Commit(map[string]string{"index.html": "welcome two"})
	if update := pass(); update["requests"].(float64) < 2 || update["bytes_in"].(float64) <= poll["bytes_in"].(float64) || update["changed"] != true {
		t.Errorf("with news it costs %v", update)
	}
	if s := u.status().Service; s.Requests < 4 || s.BytesIn == 0 || s.BytesOut == 0 || s.Confirmed.IsZero() {
		t.Errorf("the status says %+v", s)
	}
}

// What was refused for want of something is tried again when a person says so; the
// text of a status names what is refused and what is held.
func TestRetryServesWhatWasRefused(t *testing.T) {
	t.Parallel()
	repo := toyRepo(t)
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "one for")
	u.touch("no-start")
	second := repo.Commit(toy("two", false))
	sync := func(want int, says string, args ...string) {
		t.Helper()
		out, diag, code := popup(t, "", append([]string{"sync", "--root", u.root}, args...)...)
		if code != want || !strings.Contains(out+diag, says) {
			t.Fatalf("sync %v: exit %d, says %s%s; want %d and %q", args, code, out, diag, want, says)
		}
	}
	status := func(says ...string) {
		t.Helper()
		out, diag, code := popup(t, "", "status", "--root", u.root)
		for _, want := range says {
			if code != 0 || !regexp.MustCompile(want).MatchString(out) {
				t.Errorf("status: exit %d, says\n%s%swant %s", code, out, diag, want)
			}
		}
	}
	sync(1, "the database is locked")
	sync(1, "is not tried again until the source goes on")
	status(`(?m)^service refused +`+second+` at .*the database is locked`, `(?m)^service wanted +`+second, `(?m)^service sync +gate: revision .* was refused `, `(?m)^service polls +never by itself; .*[0-9]+ requests, `)
	sync(1, "the database is locked", "--retry")
	u.remove("no-start")
	sync(1, "is not tried again until the source goes on")
	sync(0, "changed: serving release "+second, "--retry")
	u.await("/", "two for")
	if left := u.status().Service.Refused; len(left) > 0 {
		t.Errorf("refused are still %+v", left)
	}
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "service"}); err != nil {
		t.Fatal(err)
	}
	status(`(?m)^service held +[0-9a-f]{40}; popup rollback service --release lets it go forward again$`)
}

// Releasing the data says how the data is, whatever became of the service's repository.
func TestReleaseTellsItsOwnStream(t *testing.T) {
	t.Parallel()
	service, data := staticRepo(t), testutil.NewRepo(t)
	service.Commit(map[string]string{"app.yaml": staticManifest + "data:\n  repository: https://data.example.org/x.git\n  mount: days\n"})
	data.Commit(map[string]string{"day": "one"})
	u := startUp(t, tempRoot(t), "--config", service.URL(), "--data", data.URL())
	u.await("/days/day", "one")
	data.Commit(map[string]string{"day": "two"})
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "data"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(service.Dir, service.Dir+"-gone"); err != nil {
		t.Fatal(err)
	}
	out, diag, code := popup(t, "", "rollback", "data", "--release", "--root", u.root)
	if code != 0 || !strings.Contains(out, "changed: ") {
		t.Errorf("exit %d, says %s%s", code, out, diag)
	}
	u.await("/days/day", "two")
}

// Metrics are served where the plan says, and by the status verb.
func TestMetricsAreServed(t *testing.T) {
	t.Parallel()
	repo := staticRepo(t)
	config := filepath.Join(writeFiles(t, t.TempDir(), map[string]string{"config.yaml": fmt.Sprintf(`plan_version: 1
instance: fair-7
manifest: {manifest_version: 1, id: pages, name: Pages, serve: {type: static}}
service: {url: %q}
serve: {metrics: "127.0.0.1:0"}
`, repo.URL())}), "config.yaml")
	u := startUp(t, tempRoot(t), "--config", config)
	u.awaitHealthy()
	address := regexp.MustCompile(`http://[0-9.:]+/metrics`).FindString(u.log.String())
	resp, err := http.Get(address)
	if err != nil {
		t.Fatalf("%v; log:\n%s", err, u.log)
	}
	defer resp.Body.Close()
	served, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, resp.Status, err)
	}
	printed, diag, code := popup(t, "", "status", "--metrics", "--root", u.root)
	if code != 0 || !strings.HasSuffix(printed, "# EOF\n") {
		t.Errorf("exit %d, says %s%s", code, printed, diag)
	}
	for _, text := range []string{string(served), printed} {
		for _, want := range []string{`popup_info{app="pages",instance="fair-7",version=`, "popup_healthy 1", `popup_sync_serving_info{revision="` + repo.Head() + `",stream="service"} 1`} {
			if !strings.Contains(text, want) {
				t.Errorf("no %s in\n%s", want, text)
			}
		}
		if strings.Contains(text, repo.Dir) {
			t.Errorf("it names the repository:\n%s", text)
		}
	}
	if other, err := http.Get(strings.TrimSuffix(address, "metrics") + "status"); err != nil {
		t.Error(err)
	} else if _ = other.Body.Close(); other.StatusCode != http.StatusNotFound {
		t.Errorf("another path there answers %s", other.Status)
	}
}
