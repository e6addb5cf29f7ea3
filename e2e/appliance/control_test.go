package appliance

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/launcher"
)

// popup runs the binary in dir and returns what it printed and its exit code.
func popup(t *testing.T, dir string, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, diag bytes.Buffer
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &diag
	_ = cmd.Run() // the exit code is what is looked at
	return out.String(), diag.String(), cmd.ProcessState.ExitCode()
}

func staticRepo(t *testing.T) *testutil.GitRepo {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"app.yaml": staticManifest, "index.html": "welcome one"})
	return repo
}

func TestVerbsSayThatNothingRuns(t *testing.T) {
	t.Parallel()
	stopped := tempRoot(t)
	u := startUp(t, stopped, "--config", staticRepo(t).URL())
	u.await("/", "welcome")
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	deep := filepath.Join(t.TempDir(), strings.Repeat("deep/", 30))
	if err := os.MkdirAll(filepath.Join(deep, "var/lib/popup/journal"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, root := range map[string]string{"never started": t.TempDir(), "stopped": stopped, "deep": t.TempDir() + "/" + strings.Repeat("deep/", 30), "deep and empty": deep} {
		for _, verb := range [][]string{{"status"}, {"status", "--json"}, {"sync"}, {"rollback", "data"}} {
			out, diag, code := popup(t, "", append(verb, "--root", root)...)
			if code != 1 || out != "" || !strings.Contains(diag, "popup is not running there; start it with popup up") {
				t.Errorf("%s: popup %v: exit %d, prints %q, says %q", name, verb, code, out, diag)
			}
		}
	}
	if left, err := os.ReadDir(filepath.Join(deep, "var/lib/popup/journal")); err != nil || len(left) > 0 {
		t.Errorf("asking left %v %v", left, err)
	}
}

// Another user is answered nothing, whichever way they come.
func TestControlSocketIsForItsOwner(t *testing.T) {
	t.Parallel()
	u := startUp(t, tempRoot(t), "--config", staticRepo(t).URL())
	u.await("/", "welcome")
	cmd := exec.Command(program, "status", "--root", u.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err == nil || !strings.Contains(string(out), "permission denied; only root and the user that runs popup up may ask; try sudo") {
		t.Errorf("another user's status: %v %s", err, out)
	}
	// With the folder open the peer's user still is the one it is.
	for _, path := range []string{"run/popup/control", "run/popup/control/control.sock"} {
		if err := os.Chmod(filepath.Join(u.root, path), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	cmd = exec.Command(program, "status", "--root", u.root)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err == nil || strings.Contains(string(out), "pages") || !strings.Contains(string(out), "try sudo") {
		t.Errorf("another user's status through an open folder: %v %s", err, out)
	}
	if _, diag, code := popup(t, "", "status", "--root", u.root); code != 0 {
		t.Errorf("our own status: exit %d %s", code, diag)
	}
}

// A root whose path does not fit into a socket's address works the same, named
// in full or from within, and leaves nothing elsewhere.
func TestDeepRootWorks(t *testing.T) {
	root := filepath.Join(tempRoot(t), strings.Repeat("a-rather-long-name/", 8))
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	temp := filepath.Join(tempRoot(t), strings.Repeat("a-long-temporary-folder/", 6))
	if err := os.MkdirAll(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	app := writeFiles(t, t.TempDir(), toy("one", false))
	t.Setenv("TMPDIR", temp)
	before := temporary(t)
	for range 2 { // the second start finds what the first one recorded
		u := startUp(t, root, "--config", app)
		u.awaitHealthy()
		for _, at := range []struct{ dir, root string }{{"", root}, {root, "."}} {
			for _, verb := range []string{"status", "sync"} {
				if out, diag, code := popup(t, at.dir, verb, "--root", at.root); code != 0 || out == "" {
					t.Errorf("popup %s --root %s: exit %d, %s", verb, at.root, code, diag)
				}
			}
		}
		if err := u.stop(); err != nil {
			t.Fatal(err)
		}
	}
	if after := temporary(t); after != before {
		t.Errorf("there was %s in the temporary folder and now there is %s", before, after)
	}
}

// temporary lists the socket folders that an appliance may have made outside of its root.
func temporary(t *testing.T) string {
	t.Helper()
	var found []string
	for _, dir := range []string{"/tmp", os.TempDir()} {
		names, err := filepath.Glob(filepath.Join(dir, "popup-s-*"))
		if err != nil {
			t.Fatal(err)
		}
		found = append(found, names...)
	}
	return strings.Join(found, " ")
}

func TestSecondUpOnARootIsRefused(t *testing.T) {
	t.Parallel()
	repo := staticRepo(t)
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome")
	_, diag, code := popup(t, "", "up", "--root", u.root, "--listen", "127.0.0.1:0", "--config", repo.URL())
	if code != 1 || !strings.Contains(diag, "another popup is running on this root; stop it, or give --root another folder") {
		t.Errorf("exit %d, says %s", code, diag)
	}
	u.await("/", "welcome")
	if _, diag, code := popup(t, "", "status", "--root", u.root); code != 0 {
		t.Errorf("the first one answers no more: %d %s", code, diag)
	}
}

// Exit codes and shapes that scripts may count on.
func TestVerbsForScripts(t *testing.T) {
	t.Parallel()
	repo := staticRepo(t)
	u := startUp(t, tempRoot(t), "--config", repo.URL())
	u.await("/", "welcome one")
	root := []string{"--root", u.root, "--json"}

	out, _, code := popup(t, "", append([]string{"status"}, root...)...)
	var s map[string]any
	if err := json.Unmarshal([]byte(out), &s); err != nil || code != 0 {
		t.Fatalf("status: exit %d, %v: %s", code, err, out)
	}
	for _, key := range []string{"app", "name", "instance", "version", "url", "since", "live", "healthy", "read_only", "serving", "phases", "service", "restarts", "requests", "errors", "journal"} {
		if _, ok := s[key]; !ok {
			t.Errorf("the status has no %q", key)
		}
	}
	sync := func() (launcher.SyncReport, string, int) {
		out, diag, code := popup(t, "", append([]string{"sync"}, root...)...)
		var r launcher.SyncReport
		if err := json.Unmarshal([]byte(out), &r); err != nil {
			t.Fatalf("sync: %v: %s %s", err, out, diag)
		}
		return r, diag, code
	}
	if r, _, code := sync(); code != 0 || r.Changed || r.Served.Release == "" || r.Served.Release != r.Wanted.Release || r.Took == "" {
		t.Errorf("sync without news: exit %d, %+v", code, r)
	}
	newest := repo.Commit(map[string]string{"index.html": "welcome two"})
	if r, _, code := sync(); code != 0 || !r.Changed || string(r.Served.Release) != newest {
		t.Errorf("sync with news: exit %d, %+v", code, r)
	}
	bad := repo.Commit(map[string]string{"index.html": "broken"})
	for range 2 { // found out, and then remembered
		if r, diag, code := sync(); code != 1 || string(r.Wanted.Release) != bad || string(r.Served.Release) != newest || !strings.Contains(diag, `does not contain "welcome"`) {
			t.Errorf("sync of what is refused: exit %d, %+v, %s", code, r, diag)
		}
	}
	for name, c := range map[string]struct {
		args []string
		code int
		says string
	}{
		"unknown revision": {[]string{"rollback", "service", "c0ffee"}, 1, `"c0ffee" is not kept here; kept are: ` + newest[:17]},
		"no data":          {[]string{"rollback", "data"}, 1, "this app has no data to roll back"},
		"neither":          {[]string{"rollback", "everything"}, 2, "service"},
		"nothing":          {[]string{"rollback"}, 2, "rollback --help"},
		"release and one":  {[]string{"rollback", "service", newest, "--release"}, 2, "--release"},
		"status of more":   {[]string{"status", "all"}, 2, "status --help"},
	} {
		if _, diag, code := popup(t, "", append(c.args, "--root", u.root)...); code != c.code || !strings.Contains(diag, c.says) {
			t.Errorf("%s: exit %d, says %s; want %d and %q", name, code, diag, c.code, c.says)
		}
	}
	u.await("/", "welcome two")
}

// Ctrl-C on a try takes it all away: the files, the app, and what the app started.
func TestTryLeavesNothingBehind(t *testing.T) {
	app, temp := writeFiles(t, t.TempDir(), toy("one", false)), tempRoot(t)
	if err := os.Chmod(temp, 0o777); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", temp)
	for name, shown := range map[string]string{"while it serves": "one for", "while it boots": ""} {
		t.Run(name, func(t *testing.T) {
			u := &up{t: t, log: &testutil.Buffer{}, done: make(chan struct{})}
			u.run("try", app)
			var pid string
			if shown != "" {
				u.await("/", shown)
				roots, err := filepath.Glob(filepath.Join(temp, "popup-try-*"))
				if err != nil || len(roots) != 1 {
					t.Fatalf("the temporary roots are %v %v", roots, err)
				}
				u.root = roots[0]
				pid = u.lines("starts")[0]
			}
			if err := u.cmd.Process.Signal(os.Interrupt); err != nil {
				t.Fatal(err)
			}
			select {
			case <-u.done:
			case <-time.After(30 * time.Second):
				t.Fatalf("it goes on: %s", u.log)
			}
			if code := u.cmd.ProcessState.ExitCode(); code != 0 {
				t.Errorf("exit %d: %s", code, u.log)
			}
			if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
				t.Errorf("it left %v %v", left, err)
			}
			if _, err := os.Stat("/proc/" + pid); pid != "" && err == nil {
				t.Errorf("the app is still there as process %s", pid)
			}
		})
	}
}
