package appliance

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"popup/internal/testutil"
	"popup/launcher"
	"popup/launcher/front"
)

// dataApp is a static app that shows its data at /days/, with more lines in data.
func dataApp(t *testing.T, data, more string) string {
	t.Helper()
	return writeFiles(t, t.TempDir(), map[string]string{
		"app.yaml": `manifest_version: 1
id: days
name: Days
serve: {type: static}
data:
  repository: https://data.example.org/given-by-flag.git
  mount: days
` + data + more,
		"index.html": "welcome",
	})
}

// Each gate of the data refuses a day in a sentence; the day before goes on, and
// the day after is served.
func TestGatesRefuseADay(t *testing.T) {
	big := strings.Repeat("0123456789", 20_000)
	for name, c := range map[string]struct {
		data string
		bad  map[string]string
		says string
	}{
		"check":       {"  check: {command: 'test \"$(cat day)\" != bad || { echo the day is bad; exit 3; }'}\n", map[string]string{"day": "bad"}, "the day is bad"},
		"slow check":  {"  check: {command: 'test \"$(cat day)\" != bad || sleep 60', timeout: 1s}\n", map[string]string{"day": "bad"}, "check"},
		"size":        {"  limits: {size: 100 KB}\n", map[string]string{"day": big}, "limit"},
		"files":       {"  limits: {files: 10}\n", map[string]string{"a/1": "", "a/2": "", "a/3": "", "a/4": "", "a/5": "", "a/6": "", "a/7": "", "a/8": "", "a/9": ""}, "limit"},
		"shrink":      {"  limits: {shrink: 50%}\n", map[string]string{"ballast": "gone"}, "lost"},
		"schema":      {"  schema: 2\n", map[string]string{".popup-data.yaml": "schema: 3\n"}, "schema is 3"},
		"lies of one": {"  schema: 2\n", map[string]string{".popup-data.yaml": "three"}, ".popup-data.yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := testutil.NewRepo(t)
			first := repo.Commit(map[string]string{"day": "one", "ballast": strings.Repeat("x", 10_000)})
			root := tempRoot(t)
			config := dataApp(t, c.data, "")
			u := startUp(t, root, "--config", config, "--data", repo.URL())
			u.await("/days/day", "one")
			bad := repo.Commit(c.bad)
			for range 2 { // refused, and then remembered
				if _, err := u.client().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Fatalf("sync: %v; want %q in it", err, c.says)
				}
			}
			s := u.status()
			if string(s.Serving.Revision) != first || len(s.Data.Refused) != 1 || string(s.Data.Refused[0].Revision) != bad || !s.Healthy {
				t.Errorf("serving %s, refused %+v, healthy %v (%s)", s.Serving.Revision, s.Data.Refused, s.Healthy, s.Why)
			}
			u.await("/days/day", "one")
			repo.Git("revert", "--no-edit", "HEAD")
			repo.Commit(map[string]string{"day": "two"})
			if _, err := u.client().Sync(t.Context()); err != nil {
				t.Fatalf("sync of the mend: %v", err)
			}
			u.await("/days/day", "two")
		})
	}
}

// A tarball that would write outside of its folder, end to end: refused by name.
func TestHostileTarballIsRefused(t *testing.T) {
	t.Parallel()
	repo := testutil.NewRepo(t)
	commit := func(headers ...tar.Header) {
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		w := tar.NewWriter(z)
		for _, h := range headers {
			h.Mode, h.Size = 0o644, 0
			if h.Typeflag == tar.TypeReg {
				h.Size = 3
			}
			if err := w.WriteHeader(&h); err != nil {
				t.Fatal(err)
			}
			if h.Size > 0 {
				if _, err := w.Write([]byte("one")); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		repo.Write("days.tar.gz", packed.Bytes(), 0o644)
		repo.CommitAll()
	}
	good := tar.Header{Name: "day", Typeflag: tar.TypeReg}
	commit(good)
	u := startUp(t, tempRoot(t), "--config", dataApp(t, "  extract: days.tar.gz\n", ""), "--data", repo.URL())
	u.await("/days/day", "one")
	for name, evil := range map[string]tar.Header{
		"up":       {Name: "../../../../../escaped", Typeflag: tar.TypeReg},
		"absolute": {Name: filepath.Join(u.root, "escaped"), Typeflag: tar.TypeReg},
		"device":   {Name: "device", Typeflag: tar.TypeChar, Devmajor: 1, Devminor: 3},
		"hardlink": {Name: "passwd", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"},
	} {
		commit(good, evil)
		if _, err := u.client().Sync(t.Context()); err == nil || !strings.Contains(err.Error(), filepath.Base(evil.Name)) {
			t.Errorf("%s: sync: %v; want a refusal that names the entry", name, err)
		}
	}
	u.await("/days/day", "one")
	if found, err := filepath.Glob(filepath.Join(u.root, "*escaped")); err != nil || len(found) > 0 {
		t.Errorf("written outside: %v %v", found, err)
	}
}

// A program that follows its data sees the new day without a restart; one that
// asked for it is replaced, beside the old.
func TestProgramLearnsOfNewData(t *testing.T) {
	for onChange, stays := range map[string]bool{"nothing": true, "restart": false} {
		t.Run(onChange, func(t *testing.T) {
			t.Parallel()
			repo := testutil.NewRepo(t)
			repo.Commit(map[string]string{"day": "one"})
			config := writeFiles(t, t.TempDir(), map[string]string{
				"app.yaml": toyManifest + "data:\n  repository: https://data.example.org/x.git\n  mount: days\n  sync: {on_change: " + onChange + "}\n" +
					"scripts:\n  on_data_change: 'cat \"$DATA_DIR/day\" >> \"$STATE_DIR/changes\"'\n  postdeploy: 'echo once >> \"$STATE_DIR/deploys\"'\n",
				"server.py": strings.ReplaceAll("VERSION, FRAIL = 'x', False\n"+toyServer, `VERSION + " for "`,
					`open(os.environ["DATA_DIR"] + "/day").read() + " and " + open("days/day").read() + " for "`),
			})
			root := tempRoot(t)
			u := startUp(t, root, "--config", config, "--data", repo.URL())
			u.await("/", "one and one for")
			load := startLoad(u.url+"/", 2)
			repo.Commit(map[string]string{"day": "two\n"})
			if _, err := u.client().Sync(t.Context()); err != nil {
				t.Fatal(err)
			}
			u.await("/", "two\n and two\n for")
			if done, failed := load.stop(); len(failed) > 0 {
				t.Errorf("%d of %d requests failed: %v", len(failed), done, failed)
			}
			first, err := strconv.Atoi(u.lines("starts")[0])
			if err != nil {
				t.Fatal(err)
			}
			running := func() bool { return syscall.Kill(first, 0) == nil }
			if stays && !running() {
				t.Error("the app was replaced, and asked for nothing of the kind")
			} else if !stays {
				u.until("the old app is gone", func() bool { return !running() })
			}
			if got := u.lines("changes"); len(got) != 1 || got[0] != "two" {
				t.Errorf("on_data_change saw %v; want two", got)
			}
			if err := u.stop(); err != nil {
				t.Fatal(err)
			}
			u = startUp(t, root, "--config", config, "--data", repo.URL())
			u.await("/", "two\n and two\n for")
			if got := u.lines("deploys"); len(got) != 1 {
				t.Errorf("postdeploy ran %d times over two starts; want once", len(got))
			}
		})
	}
}

// Rollback of data holds over syncs and restarts, until it is released.
func TestRollbackOfDataHolds(t *testing.T) {
	t.Parallel()
	repo, root := testutil.NewRepo(t), tempRoot(t)
	first := repo.Commit(map[string]string{"day": "one"})
	config := dataApp(t, "", "")
	u := startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/days/day", "one")
	repo.Commit(map[string]string{"day": "two"})
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "data", To: first[:8]}); err != nil {
		t.Fatal(err)
	}
	u.await("/days/day", "one")
	repo.Commit(map[string]string{"day": "three"})
	if report, err := u.client().Sync(t.Context()); err != nil || report.Changed {
		t.Errorf("sync while held: %+v, %v", report, err)
	}
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/days/day", "one")
	if report, err := u.client().Sync(t.Context()); err != nil || report.Changed {
		t.Errorf("sync while held, after a restart: %+v, %v", report, err)
	}
	if _, err := u.client().Rollback(t.Context(), launcher.RollbackOrder{What: "data", Release: true}); err != nil {
		t.Fatal(err)
	}
	u.await("/days/day", "three")
}

// What is wrong upstream is a sentence in the status and never an address on the
// page; once it is mended, the app comes up by itself.
func TestUpstreamFaultsAreSaidAndMend(t *testing.T) {
	for name, c := range map[string]struct {
		ref         string
		broken, fix func(t *testing.T, repo *testutil.GitRepo, server *testutil.GitServer)
		says        string
	}{
		"no branch": {"#next", func(t *testing.T, r *testutil.GitRepo, _ *testutil.GitServer) {
			r.Commit(map[string]string{"day": "one"})
		},
			func(t *testing.T, r *testutil.GitRepo, _ *testutil.GitServer) { r.Git("branch", "next") }, "next"},
		"empty": {"", func(*testing.T, *testutil.GitRepo, *testutil.GitServer) {},
			func(t *testing.T, r *testutil.GitRepo, _ *testutil.GitServer) {
				r.Commit(map[string]string{"day": "one"})
			}, "empty"},
		"no repository": {"", func(t *testing.T, r *testutil.GitRepo, _ *testutil.GitServer) {
			r.Commit(map[string]string{"day": "one"})
			rename(t, r.Dir, r.Dir+".away")
		}, func(t *testing.T, r *testutil.GitRepo, _ *testutil.GitServer) { rename(t, r.Dir+".away", r.Dir) }, "repository"},
		"credentials": {"", func(t *testing.T, r *testutil.GitRepo, s *testutil.GitServer) {
			r.Commit(map[string]string{"day": "one"})
			s.Require("us", "hunter2")
		}, func(t *testing.T, r *testutil.GitRepo, s *testutil.GitServer) { s.Require("", "") }, "credentials"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			repo := testutil.NewRepo(t)
			server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
			c.broken(t, repo, server)
			address := server.URL + "/" + filepath.Base(repo.Dir)
			u := startUp(t, tempRoot(t), "--config", dataApp(t, "", ""), "--data", address+c.ref)
			u.until("the phase has failed", func() bool { return u.phase(launcher.PhaseData).State == front.PhaseFailed })
			p := u.phase(launcher.PhaseData)
			if !strings.Contains(p.Detail, c.says) || !strings.Contains(p.Detail, address) {
				t.Errorf("the status says %q; want %q and the address", p.Detail, c.says)
			}
			if status, page := u.get("/"); status != 503 || strings.Contains(page, "upstream") || strings.Contains(page, "127.0.0.1") {
				t.Errorf("the page answers %d and must hold no address:\n%s", status, page)
			}
			c.fix(t, repo, server)
			if name == "credentials" {
				server.Answer(testutil.GitHandler(t, filepath.Dir(repo.Dir)).ServeHTTP)
			}
			u.await("/days/day", "one")
		})
	}
}

// A reboot with upstream gone serves what is there, and goes on when it is back.
func TestRebootWithUpstreamDown(t *testing.T) {
	t.Parallel()
	repo, root := testutil.NewRepo(t), tempRoot(t)
	repo.Commit(map[string]string{"day": "one"})
	config := dataApp(t, "", "")
	u := startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/days/day", "one")
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	rename(t, repo.Dir, repo.Dir+".away")
	u = startUp(t, root, "--config", config, "--data", repo.URL())
	u.await("/days/day", "one")
	if _, err := u.client().Sync(t.Context()); err == nil || u.status().Data.LastError == "" {
		t.Errorf("sync with upstream gone: %v; want why", err)
	}
	u.await("/days/day", "one")
	rename(t, repo.Dir+".away", repo.Dir)
	repo.Commit(map[string]string{"day": "two"})
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Errorf("sync with upstream back: %v", err)
	}
	u.await("/days/day", "two")
	u.awaitHealthy()
}

func rename(t *testing.T, from, to string) {
	t.Helper()
	if err := os.Rename(from, to); err != nil {
		t.Fatal(err)
	}
}
