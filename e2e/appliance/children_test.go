package appliance

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"popup/internal/testutil"
)

// litter leaves children behind in every way a shell can, and hangs. Each says its
// number and hears no TERM. Where there is no cgroup, one that also throws away its
// environment gets away: see internal/process.
const litter = `child="sh $STATE_DIR/child.sh"
$child & setsid $child & (set -m; $child &); setsid sh -c "$child & sleep 0.01"; $child
`

const childScript = `trap "" TERM HUP INT
echo $$ >>$STATE_DIR/children
while :; do sleep 0.1; done
`

const littered = 5

// mayLitter is a command that litters when it was told to.
const mayLitter = `'test ! -e $STATE_DIR/litter.sh || sh $STATE_DIR/litter.sh'`

// litters tells the app's commands to.
func (u *up) litters() {
	u.t.Helper()
	u.t.Cleanup(func() {
		for _, pid := range u.alive() { // only when the test failed
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	for name, text := range map[string]string{"child.sh": childScript, "litter.sh": litter} {
		if err := os.WriteFile(u.state(name), []byte(text), 0o644); err != nil {
			u.t.Fatal(err)
		}
	}
}

// alive are the children that run; a zombie does not, and stays until somebody who is not us takes it away.
func (u *up) alive() (running []int) {
	u.t.Helper()
	for _, line := range u.lines("children") {
		pid, err := strconv.Atoi(line)
		if err != nil {
			u.t.Fatal(err)
		}
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err == nil && !bytes.Contains(stat, []byte(") Z ")) {
			running = append(running, pid)
		}
	}
	return running
}

// A check that takes too long is ended with everything it started: nothing goes on
// to work beside the next one.
func TestPeerFault5TimeoutEndsChildren(t *testing.T) {
	t.Parallel()
	repo := testutil.NewRepo(t)
	good := repo.Commit(map[string]string{"day": "one"})
	u := startUp(t, tempRoot(t), "--config", dataApp(t, "  check: {command: "+mayLitter+", timeout: 2s}\n", ""), "--data", repo.URL())
	u.await("/days/day", "one")
	u.litters()
	repo.Commit(map[string]string{"day": "bad"})
	_, err := u.client().Sync(t.Context())
	if err == nil || !strings.Contains(err.Error(), "check did not end in time") {
		t.Errorf("sync: %v; want that the check did not end in time", err)
	}
	if n := len(u.lines("children")); n != littered {
		t.Errorf("%d children were started; want %d", n, littered)
	}
	if left := u.alive(); len(left) > 0 {
		t.Errorf("children of the check still run: %v", left)
	}
	u.await("/days/day", "one")
	if got := u.status().Serving.Revision; string(got) != good {
		t.Errorf("%s is served; want %s", got, good)
	}
}

// Popup is killed while a check or a build runs: the next start ends what they started.
func TestPeerFault5KillEndsChildren(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ data, more string }{
		"check": {data: "  check: {command: " + mayLitter + "}\n"},
		"build": {more: "build_command: " + mayLitter + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			repo := testutil.NewRepo(t)
			repo.Commit(map[string]string{"day": "one"})
			service := testutil.NewRepo(t)
			app := func(title string) {
				dir := dataApp(t, c.data, c.more)
				manifest, err := os.ReadFile(filepath.Join(dir, "app.yaml"))
				if err != nil {
					t.Fatal(err)
				}
				service.Commit(map[string]string{"app.yaml": string(manifest), "index.html": title})
			}
			app("welcome")
			root := tempRoot(t)
			args := []string{"--config", service.URL(), "--data", repo.URL()}
			u := startUp(t, root, args...)
			u.await("/days/day", "one")
			u.litters()
			repo.Commit(map[string]string{"day": "two"})
			app("again")
			go func() { _, _ = u.client().Sync(t.Context()) }() // the kill cuts it short
			u.until("the children run", func() bool { return len(u.alive()) == littered })
			u.kill()
			if left := u.alive(); len(left) != littered {
				t.Errorf("%d children outlived the kill; want all: they are what this is about", len(left))
			}
			u.remove("litter.sh")
			u = startUp(t, root, args...)
			u.until("ready", func() bool { status, _ := u.get("/.well-known/popup/ready"); return status == 200 })
			if left := u.alive(); len(left) > 0 {
				t.Errorf("children still run: %v", left)
			}
			if len(u.journalOf("orphan")) == 0 {
				t.Error("the journal does not say that something was ended")
			}
			if _, err := u.client().Sync(t.Context()); err != nil {
				t.Errorf("sync afterwards: %v", err)
			}
			u.await("/days/day", "two")
		})
	}
}
