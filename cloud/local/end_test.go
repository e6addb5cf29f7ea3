package local

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"popup/cloud/kepttest"
	"popup/console"
	"popup/internal/testutil"
)

// onHost serves a repository on an address of the loopback of its own: two of them are
// two hosts, whose dates confirm the clock.
func onHost(t *testing.T, host string, repo *testutil.GitRepo) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: testutil.GitHandler(t, filepath.Dir(repo.Dir))}}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL + "/" + filepath.Base(repo.Dir)
}

// A machine whose end came is not started again: not when popup is killed, as by a
// restart of this machine, and not by the next console.
func TestEndedIsNotStartedAgain(t *testing.T) {
	s := open(t)
	code, data := testutil.NewRepo(t), testutil.NewRepo(t)
	code.Commit(map[string]string{"index.html": "hello from the app"})
	data.Commit(map[string]string{"day": "one"})
	l := s.toy("one")
	at := time.Now().UTC().Add(4 * time.Second).Truncate(time.Second)
	l.UserData = userData(t, fmt.Sprintf(`plan_version: 1
manifest:
  manifest_version: 1
  id: toy
  name: Toy
  serve: {type: static}
  data: {repository: "https://data.example.org/x.git", mount: days}
service: {url: %q}
data: {url: %q}
end: {at: %q, warn: 2s, freeze: 1s, power_off: true}
`, onHost(t, "127.0.0.1", code), onHost(t, "127.0.0.2", data), at.Format("2006-01-02T15:04:05")))
	m := s.Start(l)
	s.Await(m.Address, "hello from the app")
	if m := s.MachineOf("one"); m.State != console.MachineRunning {
		t.Errorf("before its end it is %+v", m)
	}
	over := s.AwaitState("one", console.MachineRunning, saysOver)
	if status, _ := kepttest.Fetch(m.Address); status != http.StatusGone || over.Address != m.Address || time.Now().Before(at) {
		t.Errorf("at its end it is %+v, and answers %d", over, status)
	}
	s.again()
	s.AwaitState("one", console.MachineRunning, saysOver)
	if err := syscall.Kill(s.up("one"), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	s.Eventually("nothing of it runs, and that is said", func() bool {
		return len(s.processes("one")) == 0 && s.MachineOf("one").Detail == isOver
	})
	s.again()
	s.AwaitState("one", console.MachineStopped, isOver)
	if left := s.processes("one"); len(left) != 0 {
		t.Errorf("it was started again: processes %v", left)
	}
}
