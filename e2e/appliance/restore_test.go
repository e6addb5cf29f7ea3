package appliance

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/archive"
	"popup/internal/testutil"
	"popup/internal/wire"
	"popup/launcher"
	"popup/launcher/backup"
)

// lastWeek puts a backup of another instance into the bucket, as it was a week ago.
func (b *bucketVault) lastWeek(t *testing.T, files map[string]string) (name string) {
	t.Helper()
	vault, err := launcher.OpenVault(wire.State{Vault: "s3://fair/backups/", Endpoint: b.server.URL, CredentialsFile: b.keys})
	if err != nil {
		t.Fatal(err)
	}
	return saveOld(t, vault, files, backup.SaveOptions{Recipient: b.to, Spool: t.TempDir()})
}

// saveOld saves a backup of files that was taken a week ago, by the toy of another event.
func saveOld(t *testing.T, vault archive.Vault, files map[string]string, opts backup.SaveOptions) (name string) {
	t.Helper()
	state, err := os.OpenRoot(writeFiles(t, t.TempDir(), files))
	if err != nil {
		t.Fatal(err)
	}
	series := backup.Series{App: "toy", Instance: "spring-3", Sealed: opts.Recipient != ""}
	opts.At = time.Now().AddDate(0, 0, -7)
	opts.App, opts.Instance, opts.Secrets = series.App, series.Instance, archive.Secrets{"PASSWORD": "of-last-week"}
	name = series.Name(opts.At)
	if _, err := backup.Save(t.Context(), vault, name, state, opts); err != nil {
		t.Fatal(err)
	}
	if err := state.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

// restorePlan writes the config of the toy, which was made a password by its instance.
func (c *fakeConsole) restorePlan(root string, service *testutil.GitRepo, state string) {
	c.t.Helper()
	path := c.plan(root, service, "state: "+state)
	text := strings.Replace(read(c.t, path), "PASSWORD: {secret: true}", "PASSWORD: {generator: secret}", 1)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// awaitRestoreFailed waits for a phase that there is only once the console named a backup.
func (u *up) awaitRestoreFailed() {
	u.t.Helper()
	u.until("the restore failed", func() bool {
		return slices.ContainsFunc(u.status().Phases, func(p launcher.Phase) bool { return p.Name == launcher.PhaseRestore && p.State == "failed" })
	})
}

// TestRestoreOfLastWeekIsKilled: a new event begins with last week's backup of another,
// though the bucket is away at first, and the machine is killed in the middle, and again.
// It is restored once: what the app writes then is never replaced.
func TestRestoreOfLastWeekIsKilled(t *testing.T) {
	t.Parallel()
	c, b, root, repo := newConsole(t), newBucketVault(t), tempRoot(t), greeter(t)
	files := map[string]string{"precious": "of last week\n", "photos/1.jpg": strings.Repeat("photo", 1<<20)}
	name := b.lastWeek(t, files)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}, Restore: b.restore(name)}
	c.restorePlan(root, repo, b.plan())
	var turn atomic.Int32
	half, killed := make(chan struct{}), make(chan struct{})
	b.server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, name) {
			return false
		}
		switch turn.Add(1) {
		case 1, 2, 3: // as often as the client asks in one try
			w.WriteHeader(http.StatusServiceUnavailable)
			return true
		case 4:
			close(half)
			<-killed
			panic(http.ErrAbortHandler)
		}
		return false
	})
	u := startUp(t, root)
	u.awaitRestoreFailed()
	if cause := u.phase(launcher.PhaseRestore).Cause; cause != "the backup that this begins with could not be had yet" {
		t.Errorf("the page says %q", cause)
	}
	u.until("it asks again", func() bool {
		select {
		case <-half:
			return true
		default:
			return false
		}
	})
	if len(u.lines("starts")) > 0 {
		t.Error("the app was started on an empty state")
	}
	u.kill()
	close(killed)
	// A restore that a kill met while names were moved: some of it is up already.
	for _, dir := range []string{".popup-before", ".popup-arriving"} {
		if err := os.MkdirAll(u.state(dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(u.state("precious"), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root)
	u.await("/", "one for hello/of-last-week")
	for name, want := range files {
		if got := read(t, u.state(name)); got != want {
			t.Errorf("%s has %d bytes, and had %d", name, len(got), len(want))
		}
	}
	u.touch("precious") // by the app
	written := read(t, u.state("precious"))
	u.kill()
	u = startUp(t, root)
	u.await("/", "one for hello/of-last-week")
	if got := read(t, u.state("precious")); got != written {
		t.Errorf("after a reboot there is %q", got)
	}
	if entries := u.journalOf("restore"); len(entries) != 1 {
		t.Errorf("it was restored %d times: %+v", len(entries), entries)
	}
}

// TestRestoreThatIsDamaged keeps the app from an empty state, until there is a good one.
func TestRestoreThatIsDamaged(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		spoil func(t *testing.T, b *bucketVault, order *wire.Restore)
		cause string
	}{
		"damaged": {func(t *testing.T, b *bucketVault, order *wire.Restore) {
			b.server.Before(func(w http.ResponseWriter, r *http.Request) bool {
				if r.Method != http.MethodGet || !strings.HasSuffix(r.URL.Path, order.Name) {
					return false
				}
				_, _ = io.WriteString(w, "age-encryption.org/v1\n and then nothing that is right")
				return true
			})
		}, "the backup that this begins with is damaged; launch it with another one"},
		"missing": {func(_ *testing.T, _ *bucketVault, order *wire.Restore) {
			order.Name = "toy-none-20260101T000000Z.tar.zst.age"
		},
			"there is no such backup as this is to begin with; launch it with another one"},
		"another key": {func(t *testing.T, _ *bucketVault, order *wire.Restore) {
			order.Identity = newBucketVault(t).identity
		},
			"the backup that this begins with is encrypted for another key"},
		"no rights": {func(_ *testing.T, b *bucketVault, _ *wire.Restore) {
			b.server.Before(func(w http.ResponseWriter, r *http.Request) bool {
				w.WriteHeader(http.StatusForbidden)
				return true
			})
		}, "the vault does not give out the backup that this begins with"},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			console, b, root, repo := newConsole(t), newBucketVault(t), tempRoot(t), greeter(t)
			order := b.restore(b.lastWeek(t, map[string]string{"precious": "x"}))
			c.spoil(t, b, order)
			console.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}, Restore: order}
			console.restorePlan(root, repo, b.plan())
			u := startUp(t, root)
			u.awaitRestoreFailed()
			phase := u.phase(launcher.PhaseRestore)
			if phase.Cause != c.cause || phase.NextTry == nil || time.Until(*phase.NextTry) < 20*time.Second {
				t.Errorf("the phase is %+v", phase)
			}
			if strings.Contains(phase.Detail, "AGE-SECRET") {
				t.Error("the status tells the key")
			}
			for until := time.Now().Add(5 * time.Second); time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
				if status, _ := u.get("/"); status == http.StatusOK {
					t.Fatal("the app was started on an empty state")
				}
			}
			if left, err := os.ReadDir(u.state("")); err != nil || len(left) > 0 {
				t.Errorf("the state holds %v, %v", left, err)
			}
		})
	}
}

// TestRestoreFromTheConsole: what is in its own vault is not encrypted there.
func TestRestoreFromTheConsole(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	dir := t.TempDir()
	vault, err := archive.FolderVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	name := saveOld(t, vault, map[string]string{"precious": "of last week\n"}, backup.SaveOptions{})
	away := 0
	c.misbehave = func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != wire.PathVault+name {
			return false
		}
		if away++; away == 1 {
			panic(http.ErrAbortHandler)
		}
		http.ServeFile(w, r, filepath.Join(dir, name))
		return true
	}
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}, Restore: &wire.Restore{Vault: wire.VaultConsole, Name: name}}
	c.restorePlan(root, repo, `{vault: "console:"}`)
	u := startUp(t, root)
	u.await("/", "one for hello/")
	if got := read(t, u.state("precious")); got != "of last week\n" {
		t.Errorf("there is %q", got)
	}
	if phase := u.phase(launcher.PhaseRestore); phase.State != "done" || phase.Attempt < 2 {
		t.Errorf("the phase is %+v", phase)
	}
}

// TestRestoreUnderAnApp: popup state restore puts a backup in the place of the state, and
// the state back where the app does not come up with it, or the machine is killed.
func TestRestoreUnderAnApp(t *testing.T) {
	t.Parallel()
	c, root, repo := newConsole(t), tempRoot(t), greeter(t)
	c.enrolled = wire.Enrolled{Settings: map[string]string{"GREETING": "hello"}}
	c.restorePlan(root, repo, `{}`)
	u := startUp(t, root)
	u.await("/", "one for hello/")
	write := func(name, text string) {
		if err := os.WriteFile(u.state(name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("precious", "good")
	good := strings.TrimSpace(mustPopup(t, "state", "backup", "--root", root))
	write("precious", "newer")
	write("new", "too")
	if out := mustPopup(t, "state", "list", "--root", root); !strings.Contains(out, good) {
		t.Errorf("list says %s", out)
	}
	if out := mustPopup(t, "state", "restore", "--root", root); !strings.Contains(out, "restored "+good+": 2 files, ") {
		t.Errorf("restore says %s", out)
	}
	u.await("/", "one for hello/")
	if _, err := os.Lstat(u.state("new")); read(t, u.state("precious")) != "good" || err == nil {
		t.Errorf("there is %q, and what came later: %v", read(t, u.state("precious")), err == nil)
	}

	// It was of an app that could not start.
	dir := t.TempDir()
	vault, err := archive.FolderVault(dir)
	if err != nil {
		t.Fatal(err)
	}
	saveOld(t, vault, map[string]string{"no-start": "x", "precious": "bad"}, backup.SaveOptions{})
	refuses(t, 1, "the app does not come up with what was restored: ", "state", "restore", "--root", root, "--vault", dir, "--of", "toy-spring-3")
	u.await("/", "one for hello/")
	if got := read(t, u.state("precious")); got != "good" {
		t.Errorf("after a restore that failed there is %q", got)
	}

	// It is not whole.
	damaged := "toy-spring-4-20260101T000000Z.tar.zst"
	if err := os.WriteFile(filepath.Join(dir, damaged), []byte("half"), 0o600); err != nil {
		t.Fatal(err)
	}
	starts := len(u.lines("starts"))
	refuses(t, 1, damaged+": restore backup: the backup is not whole", "state", "restore", damaged, "--root", root, "--vault", dir)
	if got := len(u.lines("starts")); got != starts {
		t.Errorf("the app was started %d times for what is damaged", got-starts)
	}

	// The machine is killed while a restored app is tried.
	u.kill()
	if err := os.Mkdir(u.state(".popup-before"), 0o700); err != nil {
		t.Fatal(err)
	}
	for from, to := range map[string]string{"precious": ".popup-before/precious", "starts": ".popup-before/starts"} {
		if err := os.Rename(u.state(from), u.state(to)); err != nil {
			t.Fatal(err)
		}
	}
	write("precious", "tried")
	u = startUp(t, root)
	u.await("/", "one for hello/")
	left, err := os.ReadDir(u.state(""))
	if got := read(t, u.state("precious")); got != "good" || err != nil || strings.Contains(fmt.Sprint(left), ".popup") {
		t.Errorf("after a kill there is %q, in %v, %v", got, left, err)
	}
}
