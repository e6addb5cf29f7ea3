package appliance

import (
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"popup/internal/testutil"
)

// The shipped guestbook keeps what visitors wrote over a stop, a kill and the starts after them.
func TestGuestbookKeepsItsEntries(t *testing.T) {
	t.Parallel()
	root := tempRoot(t)
	start := func() *up {
		u := startUp(t, root, "--config", "../../apps/catalogue/guestbook/app.yaml")
		u.awaitHealthy()
		return u
	}
	u := start()
	sign(t, u.url, "Ada", "before the stop")
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}
	u = start()
	u.await("/", "before the stop")
	sign(t, u.url, "Grace", "before the kill")
	u.kill()
	u = start()
	u.await("/", "before the stop")
	u.await("/", "before the kill")
	sign(t, u.url, "Joan", "afterwards")
	u.await("/", "afterwards")
}

// sign writes into the guestbook as a browser does.
func sign(t *testing.T, address, name, message string) {
	t.Helper()
	said := testutil.FillForm(t, http.DefaultClient, address+"/", url.Values{"name": {name}, "message": {message}})
	if !strings.Contains(said, message) {
		t.Fatalf("after it was signed the guestbook says %.500s", said)
	}
}

// What a killed popup left running is ended by the next start, and nothing else
// that has its number by then.
func TestNextStartEndsOrphans(t *testing.T) {
	t.Parallel()
	repo, root := toyRepo(t), tempRoot(t)
	u := startUp(t, root, "--config", repo.URL())
	u.awaitHealthy()
	orphan := u.lines("starts")[0]
	u.kill()
	if !alive(orphan) {
		t.Fatalf("process %s of the app went with popup, so there is no orphan to end", orphan)
	}
	decoy := exec.Command("sleep", "60")
	decoy.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // it leads a group, as an app does
	if err := decoy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = decoy.Process.Kill()
		_ = decoy.Wait()
	})
	records, err := filepath.Glob(filepath.Join(root, "run/popup/processes/app-*.json"))
	if err != nil || len(records) != 1 {
		t.Fatalf("the records are %v %v", records, err)
	}
	record, err := os.ReadFile(records[0])
	if err != nil {
		t.Fatal(err)
	}
	// The number is the decoy's by now, says this one; its start time and its token are the app's.
	number := strconv.Itoa(decoy.Process.Pid)
	stale := regexp.MustCompile(`"token":"....`).ReplaceAllString(strings.Replace(string(record), `"pid":`+orphan, `"pid":`+number, 1), `"token":"zzzz`)
	stale = regexp.MustCompile(`,"cgroup":"[^"]*"`).ReplaceAllString(stale, "")
	if stale == string(record) || !strings.Contains(stale, number) {
		t.Fatalf("the record is not what this test knows: %s", record)
	}
	path := filepath.Join(root, "run/popup/processes/app-"+number+".json")
	if err := os.WriteFile(path, []byte(stale), 0o600); err != nil {
		t.Fatal(err)
	}

	u = startUp(t, root, "--config", repo.URL())
	u.awaitHealthy()
	if alive(orphan) {
		t.Errorf("process %s of the killed popup still runs", orphan)
	}
	if !alive(number) {
		t.Error("a process that only has a recorded number was ended")
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the stale record is kept")
	}
	if told := u.journalOf("orphan"); len(told) != 1 || !strings.Contains(told[0].Message, orphan) {
		t.Errorf("the journal says of orphans: %+v", told)
	}
}

// alive tells a process that runs from one that is gone or only waits to be reaped.
func alive(pid string) bool {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	return err == nil && !strings.Contains(string(stat), ") Z ")
}

// SIGTERM ends all that the app started, also what does not listen.
func TestStopEndsTheWholeFamily(t *testing.T) {
	t.Parallel()
	dir := writeFiles(t, t.TempDir(), toy("one", false))
	writeFiles(t, dir, map[string]string{
		"app.yaml": strings.Replace(toyManifest, "exec python3 -B server.py", "sh deaf.sh & exec python3 -B server.py", 1),
		// A grandchild, and one that leaves the group.
		"deaf.sh": `trap "" TERM INT HUP
(trap "" TERM INT HUP; exec sh -c 'echo $$ > "$STATE_DIR/grandchild"; while :; do sleep 1; done') &
setsid sh -c 'trap "" TERM HUP; echo $$ > "$STATE_DIR/daemon"; while :; do sleep 1; done' &
echo $$ > "$STATE_DIR/child"
wait
`})
	u := startUp(t, tempRoot(t), "--config", dir)
	u.awaitHealthy()
	var pids []string
	for _, name := range []string{"child", "grandchild", "daemon", "starts"} {
		u.until(name, func() bool { return len(u.lines(name)) == 1 })
		pids = append(pids, u.lines(name)[0])
	}
	for _, pid := range pids {
		if !alive(pid) {
			t.Fatalf("process %s does not run", pid)
		}
	}
	began := time.Now()
	if err := u.stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if took := time.Since(began); took > 20*time.Second {
		t.Errorf("it took %s", took)
	}
	for i, pid := range pids {
		if alive(pid) {
			t.Errorf("process %s (%d of child, grandchild, daemon, app) outlived its appliance", pid, i)
		}
	}
	if left, err := filepath.Glob(filepath.Join(u.root, "run/popup/processes/*")); err != nil || len(left) > 0 {
		t.Errorf("records are left: %v %v", left, err)
	}
}
