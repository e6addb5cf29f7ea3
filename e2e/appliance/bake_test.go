package appliance

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/internal/wire"
)

// A kitchen is an app with data whose release takes a while to build, behind servers that
// count.
type kitchen struct {
	service, data         *testutil.GitRepo
	serviceFrom, dataFrom *testutil.GitServer
	console               *fakeConsole
}

func newKitchen(t *testing.T, build string) *kitchen {
	k := &kitchen{service: testutil.NewRepo(t), data: testutil.NewRepo(t), console: newConsole(t)}
	k.service.Commit(map[string]string{"index.html": "welcome", "build.sh": build})
	k.data.Commit(map[string]string{"day": "one"})
	k.serviceFrom = testutil.NewGitServer(t, filepath.Dir(k.service.Dir))
	k.dataFrom = testutil.NewGitServer(t, filepath.Dir(k.data.Dir))
	return k
}

func (k *kitchen) plan(root, more string) {
	k.console.write(root, fmt.Sprintf(`plan_version: 1
instance: fair-7
manifest:
  manifest_version: 1
  id: days
  name: Days
  serve: {type: static}
  build_command: sh build.sh
  data: {repository: %[2]q, mount: days}
service: {url: %[1]q}
data: {url: %[2]q}
console: {url: %[3]q, token: %[4]s, pin: %[5]q}
%[6]s`, k.serviceFrom.URL+"/upstream", k.dataFrom.URL+"/upstream", k.console.URL, consoleToken, k.console.pin(), more))
}

// baked waits until a bake is over, and returns what the console heard of it.
func (k *kitchen) baked(t *testing.T, u *up) wire.Baked {
	t.Helper()
	<-u.done
	if err := u.stop(); err != nil {
		t.Errorf("it ended with %v", err)
	}
	last := k.console.last()
	if last.Baked == nil {
		t.Fatalf("the console heard nothing of it; its log:\n%s", u.log)
	}
	for _, r := range k.console.reports {
		if r.Live || r.Serving != nil {
			t.Error("the app was served")
		}
	}
	return *last.Baked
}

// TestBake: what was baked holds release and revision and nothing of the machine; what
// starts from it fetches nothing of them again, and gets what is new.
func TestBake(t *testing.T) {
	t.Parallel()
	k, root := newKitchen(t, "date +%N >built"), tempRoot(t)
	its := []string{"etc/ssh/ssh_host_rsa_key", "root/.ssh/authorized_keys", "var/log/cloud-init.log", "var/log/popup-userdata.log", "etc/popup/binary",
		"etc/systemd/system/popup.service", "etc/systemd/system/multi-user.target.wants/popup.service", "var/lib/popup/state/db", "var/lib/popup/home/.cache"}
	for _, path := range append(its, "etc/machine-id", "usr/local/bin/popup") {
		writeFiles(t, filepath.Dir(filepath.Join(root, path)), map[string]string{filepath.Base(path): "mine"})
	}
	k.plan(root, "bake: true\n")
	u := startUp(t, root)
	if _, page := u.get("/"); strings.Contains(page, "welcome") {
		t.Error("the app is served")
	}
	if is, want := k.baked(t, u), (wire.Baked{Release: k.service.Head(), Revision: k.data.Head()}); is != want {
		t.Fatalf("it says %+v, want %+v", is, want)
	}
	for _, path := range its {
		if _, err := os.Lstat(filepath.Join(root, path)); err == nil {
			t.Errorf("%s is there still", path)
		}
	}
	for _, dir := range []string{"etc/popup", "var/lib/popup/journal", "var/lib/popup/vault", "var/lib/popup/views"} {
		if left, err := os.ReadDir(filepath.Join(root, dir)); err != nil || len(left) > 0 {
			t.Errorf("in %s there is %v, %v", dir, left, err)
		}
	}
	if id := read(t, filepath.Join(root, "etc/machine-id")); id != "" || read(t, filepath.Join(root, "usr/local/bin/popup")) != "mine" {
		t.Errorf("the machine's id is %q", id)
	}
	built := read(t, filepath.Join(root, "var/lib/popup/service/current/built"))

	service, data := k.serviceFrom.Requests(), k.dataFrom.Requests()
	k.plan(root, "")
	u = startUp(t, root)
	u.await("/days/day", "one")
	if service, data = k.serviceFrom.Requests()-service, k.dataFrom.Requests()-data; service != 1 || data != 1 {
		t.Errorf("to serve what is here it asked for the service %d times, and for the data %d times", service, data)
	}
	if again := read(t, filepath.Join(root, "var/lib/popup/service/current/built")); again != built {
		t.Errorf("built at %s, and again at %s", built, again)
	}
	k.console.say(func() {
		if len(k.console.enrols) != 2 || string(k.console.enrols[0].Key) == string(k.console.enrols[1].Key) {
			t.Errorf("%d machines enrolled, or both with the same key", len(k.console.enrols))
		}
	})
	k.data.Commit(map[string]string{"day": "two"})
	if _, err := u.client().Sync(t.Context()); err != nil {
		t.Fatal(err)
	}
	u.await("/days/day", "two")
}

// TestBakeThatFails says why, and ends.
func TestBakeThatFails(t *testing.T) {
	t.Parallel()
	k, root := newKitchen(t, "echo there is no compiler; exit 3"), tempRoot(t)
	k.plan(root, "bake: true\n")
	if is := k.baked(t, startUp(t, root)); is.Release != "" || !strings.Contains(is.Failure, "there is no compiler") {
		t.Errorf("it says %+v", is)
	}
}
