package appliance

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	_ "modernc.org/sqlite" // what was restored is looked at as an app would

	"popup/internal/testutil"
	"popup/internal/wire"
	"popup/launcher"
)

// auctionServer is an app that writes bids into a database as fast as it can, and answers
// with what it was given and how many there were when it came up.
const auctionServer = `import http.server, os, sqlite3, sys, threading
state = os.environ["STATE_DIR"] + "/"
if os.path.exists(state + "no-start"): sys.exit("the database is locked")
with open(state + "starts", "a") as f: f.write(str(os.getpid()) + "\n")
db = sqlite3.connect(state + "bids.db", timeout=30, check_same_thread=False)
db.execute("PRAGMA journal_mode=wal")
db.execute("CREATE TABLE IF NOT EXISTS a (n INTEGER PRIMARY KEY, pad BLOB)")
db.execute("CREATE TABLE IF NOT EXISTS b (n INTEGER PRIMARY KEY, pad BLOB)")
had = db.execute("SELECT coalesce(max(n), 0) FROM a").fetchone()[0]
now = [had]
def bid():
    while True:
        n = now[0] + 1
        with db:
            for t in "ab": db.execute("INSERT INTO %s VALUES (?, randomblob(500))" % t, (n,))
        now[0] = n
class H(http.server.BaseHTTPRequestHandler):
    def do_GET(s):
        s.send_response(200); s.end_headers()
        s.wfile.write(("bids: had %d now %d secret %s" % (had, now[0], os.environ["SECRET"])).encode())
    def log_message(*a): pass
threading.Thread(target=bid, daemon=True).start()
http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["PORT"])), H).serve_forever()
`

func auction(t *testing.T) *testutil.GitRepo {
	t.Helper()
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"server.py": auctionServer})
	return repo
}

// auctionPlan writes the config of the auction, whose backups go where state says.
func auctionPlan(c *fakeConsole, root string, service *testutil.GitRepo, state string) {
	c.t.Helper()
	c.write(root, fmt.Sprintf(`plan_version: 1
instance: fair-7
manifest:
  manifest_version: 1
  id: auction
  name: Auction
  serve: {type: command, start_command: exec python3 -B server.py}
  health_check: {interval: 1s, grace_period: 20s, contains: "bids: had"}
  state: {}
  env: {SECRET: {generator: secret}}
service: {url: %q}
console: {url: %q, token: %s, pin: %q}
state: %s
`, service.URL(), c.URL, consoleToken, c.pin(), state))
}

// A bucketVault is a bucket, and what its archives are encrypted to.
type bucketVault struct {
	server   *testutil.S3
	keys     string // the credentials file
	identity string // a key, and its file
	key      string
	to       string // its recipient
}

func newBucketVault(t *testing.T) *bucketVault {
	t.Helper()
	dir := t.TempDir()
	b := &bucketVault{server: testutil.NewS3(t), keys: filepath.Join(dir, "keys"), key: filepath.Join(dir, "key")}
	if err := os.WriteFile(b.keys, []byte(b.server.Access+":"+b.server.Secret), 0o600); err != nil {
		t.Fatal(err)
	}
	b.to = strings.TrimSpace(mustPopup(t, "state", "key", b.key))
	b.identity = read(t, b.key)
	return b
}

// plan is the state of a plan whose backups go into the bucket.
func (b *bucketVault) plan() string {
	return fmt.Sprintf("{vault: \"s3://fair/backups/\", endpoint: %q, credentials_file: %q, recipient: %s}", b.server.URL, b.keys, b.to)
}

func (b *bucketVault) flags() []string {
	return []string{"--vault", "s3://fair/backups/", "--endpoint", b.server.URL, "--credentials-file", b.keys}
}

func (b *bucketVault) restore(name string) *wire.Restore {
	return &wire.Restore{Vault: "s3://fair/backups/", Name: name, Identity: b.identity}
}

// mustPopup runs a verb that does what it is told.
func mustPopup(t *testing.T, args ...string) (stdout string) {
	t.Helper()
	stdout, stderr, code := popup(t, "", args...)
	if code != 0 {
		t.Fatalf("popup %s: %d: %s", strings.Join(args, " "), code, stderr)
	}
	return stdout
}

// refuses runs a verb that fails, and says why.
func refuses(t *testing.T, code int, why string, args ...string) {
	t.Helper()
	if _, stderr, got := popup(t, "", args...); got != code || !strings.Contains(stderr, why) {
		t.Errorf("popup %s: %d: %s", strings.Join(args, " "), got, stderr)
	}
}

// bids is what the app says: what it had as it came up, has now, and was given.
func (u *up) bids() (had, now int, secret string) {
	u.t.Helper()
	status, body := u.get("/")
	if _, err := fmt.Sscanf(body, "bids: had %d now %d secret %s", &had, &now, &secret); status != http.StatusOK || err != nil {
		u.t.Fatalf("it answers %d %s", status, body)
	}
	return had, now, secret
}

// TestStateSurvivesByBucket: an instance is lost, with its disk. The next one begins with
// its backup: files byte for byte, the database that was written to all the time as it
// was at one moment, and the secrets that the first one made.
func TestStateSurvivesByBucket(t *testing.T) {
	t.Parallel()
	c, b, service, root := newConsole(t), newBucketVault(t), auction(t), tempRoot(t)
	auctionPlan(c, root, service, b.plan())
	u := startUp(t, root)
	u.await("/", "bids: had 0")
	photo := make([]byte, 20<<20) // more than one part
	_, _ = rand.NewChaCha8([32]byte{3}).Read(photo)
	if err := errors.Join(os.Mkdir(u.state("photos"), 0o750), os.WriteFile(u.state("photos/1.jpg"), photo, 0o640), os.Symlink("photos/1.jpg", u.state("latest"))); err != nil {
		t.Fatal(err)
	}
	_, before, secret := u.bids()
	name := strings.TrimSpace(mustPopup(t, "state", "backup", "--root", root))
	_, after, _ := u.bids()
	if !strings.HasPrefix(name, "auction-fair-7-") || !strings.HasSuffix(name, ".tar.zst.age") {
		t.Errorf("the backup is called %q", name)
	}
	if err := u.stop(); err != nil { // a kill would leave its app there, and nobody would end that
		t.Fatal(err)
	}

	c.enrolled.Restore = b.restore(name)
	again := tempRoot(t)
	auctionPlan(c, again, service, b.plan())
	u = startUp(t, again)
	u.await("/", "bids: had")
	had, _, sameSecret := u.bids()
	t.Logf("there were %d bids before the backup, %d after it, and %d are restored", before, after, had)
	if had < before || had > after || before == 0 || sameSecret != secret {
		t.Errorf("%d bids are restored of %d to %d, and the secret is %s, not %s", had, before, after, sameSecret, secret)
	}
	if got := read(t, u.state("photos/1.jpg")); got != string(photo) {
		t.Errorf("a file of %d bytes came back as another of %d", len(photo), len(got))
	}
	if target, err := os.Readlink(u.state("latest")); err != nil || target != "photos/1.jpg" {
		t.Errorf("a link leads to %q, %v", target, err)
	}
	if phase := u.phase(launcher.PhaseRestore); phase.State != "done" {
		t.Errorf("the phase is %+v", phase)
	}
	if kept := read(t, filepath.Join(again, "etc/popup/console.json")); strings.Contains(kept, "AGE-SECRET-KEY") {
		t.Error("the key that opens all backups stayed on the instance")
	}
	if notes := u.journalOf("restore"); len(notes) != 1 || notes[0].Message != name {
		t.Errorf("the journal says %+v", notes)
	}

	// What it is now stays, whatever it began with.
	u.kill()
	u = startUp(t, again)
	u.await("/", "bids: had")
	if later, _, _ := u.bids(); later <= had {
		t.Errorf("after a reboot it had %d bids, and %d at first", later, had)
	}

	// The backup is whole by hand as well, as any SQLite sees it.
	into := filepath.Join(t.TempDir(), "into")
	out := mustPopup(t, append([]string{"state", "restore", "--into", into, "--state-key", b.key}, b.flags()...)...)
	if strings.Contains(out, "read like any file") || !strings.Contains(out, "restored "+name) || !strings.Contains(out, "1 secrets that the instance made") || strings.Contains(out, secret) {
		t.Errorf("restore says %s", out)
	}
	whole(t, filepath.Join(into, "bids.db"), had)
}

// whole asks a database whether it is, and counts it.
func whole(t *testing.T, path string, want int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	var check string
	var a, b, rows int
	err = errors.Join(db.QueryRow("PRAGMA integrity_check").Scan(&check),
		db.QueryRow("SELECT (SELECT max(n) FROM a), (SELECT max(n) FROM b), (SELECT count(*) FROM a)").Scan(&a, &b, &rows), db.Close())
	if err != nil || check != "ok" || a != want || b != want || rows != want {
		t.Errorf("it is %q and counts to %d, %d, %d of %d: %v", check, a, b, rows, want, err)
	}
}

// TestStateByHand: what there is, in a bucket and in a folder, and what goes.
func TestStateByHand(t *testing.T) {
	t.Parallel()
	b := newBucketVault(t)
	objects := map[string]string{"backups/notes.txt": "x"}
	for day := 1; day <= 4; day++ {
		objects[fmt.Sprintf("backups/wall-i-1-2026060%dT220000Z.tar.zst.age", day)] = "x"
		objects[fmt.Sprintf("backups/wall-i-2-2026060%dT220000Z.tar.zst", day)] = "x"
	}
	b.server.Put(objects)
	var list []launcher.Backup
	if err := json.Unmarshal([]byte(mustPopup(t, append([]string{"state", "list", "--json", "--of", "wall-i-1"}, b.flags()...)...)), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 4 || list[0].Name != "wall-i-1-20260604T220000Z.tar.zst.age" || list[0].Of != "wall-i-1" || list[0].Size != 1 {
		t.Errorf("there are %+v", list)
	}
	if out := mustPopup(t, append([]string{"state", "list"}, b.flags()...)...); strings.Count(out, "\n") != 9 || !strings.Contains(out, "2026-06-02 22:00:00  1 bytes") {
		t.Errorf("list says\n%s", out)
	}
	refuses(t, 1, "the vault holds backups of several instances (wall-i-1, wall-i-2); name one of them, or a backup",
		append([]string{"state", "restore", "--into", t.TempDir()}, b.flags()...)...)
	refuses(t, 1, "the backup is encrypted; give the key that opens it",
		append([]string{"state", "restore", "--of", "wall-i-1", "--into", t.TempDir()}, b.flags()...)...)
	if out := mustPopup(t, append([]string{"state", "prune", "--keep", "1"}, b.flags()...)...); strings.Count(out, "removed ") != 6 {
		t.Errorf("prune says %s", out)
	}
	if keys := b.server.Keys("backups/"); len(keys) != 3 {
		t.Errorf("there are %v", keys)
	}
	for why, wrong := range map[string][]string{
		"say with --keep how many":     {"prune"},
		"are about a vault":            {"list", "--of", "x"},
		"name with --vault where":      {"restore", "--into", "x"},
		"is not a name for a backup":   {"restore", "../x"},
		"are for a bucket":             {"list", "--vault", "/tmp", "--region", "x"},
		"is none of age's":             {"restore", "--state-key", b.keys},
		"shows how it is called":       {"restore", "a", "b"},
		"read --state-key: open /none": {"restore", "--state-key", "/none"},
	} {
		refuses(t, 2, why, append([]string{"state"}, wrong...)...)
	}
	refuses(t, 2, b.key+" is there already, and may be the only key to some backups", "state", "key", b.key)
	if info, err := os.Stat(b.key); err != nil || info.Mode().Perm() != 0o600 || read(t, b.key) != b.identity {
		t.Errorf("the key is %v, %v", info, err)
	}
	refuses(t, 1, "open vault /none/such: ", "state", "list", "--vault", "/none/such")
}

// TestDatabaseIsCopiedWithoutRoot, where Landlock alone confines who copies it; and what
// everybody could read holds no secrets.
func TestDatabaseIsCopiedWithoutRoot(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	dir := writeFiles(t, openDir(t), map[string]string{"server.py": auctionServer, "app.yaml": `manifest_version: 1
id: auction
name: Auction
serve: {type: command, start_command: exec python3 -B server.py}
state: {}
env: {SECRET: {generator: secret}}
`})
	u := &up{t: t, root: root, log: &testutil.Buffer{}, done: make(chan struct{})}
	if os.Geteuid() == 0 {
		u.as = &syscall.Credential{Uid: 65534, Gid: 65534}
		if err := os.Chown(root, 65534, 65534); err != nil {
			t.Fatal(err)
		}
	}
	u.run("up", "--root", root, "--listen", "127.0.0.1:0", "--config", dir)
	u.await("/", "bids: had 0")
	name := strings.TrimSpace(mustPopup(t, "state", "backup", "--root", root))
	into := filepath.Join(t.TempDir(), "into")
	out := mustPopup(t, "state", "restore", name, "--into", into, "--vault", filepath.Join(root, "var/lib/popup/vault"))
	if strings.Contains(out, "read like any file") || !strings.Contains(out, "the secrets that the instance made for the app are not in it") {
		t.Errorf("restore says %s", out)
	}
	db, err := sql.Open("sqlite", filepath.Join(into, "bids.db"))
	if err != nil {
		t.Fatal(err)
	}
	var n int
	if err := errors.Join(db.QueryRow("SELECT count(*) FROM a").Scan(&n), db.Close()); err != nil || n == 0 {
		t.Errorf("it has %d bids: %v", n, err)
	}
	whole(t, filepath.Join(into, "bids.db"), n)
}
