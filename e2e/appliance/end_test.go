package appliance

import (
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/archive"
	"popup/internal/testutil"
)

// onHost serves the repositories below dir on an address of the loopback of its own, so that
// two of them are two hosts whose dates confirm the clock.
func onHost(t *testing.T, host, dir string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: testutil.GitHandler(t, dir)}}
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}

// An instance freezes, archives its state once, and is over; a kill right then
// and a new start do not take the archive again, nor let a visitor write once more.
func TestEndArchivesAndSaysGoodbye(t *testing.T) {
	t.Parallel()
	service, data, root := toyRepo(t), testutil.NewRepo(t), tempRoot(t)
	data.Commit(map[string]string{"day": "one"})
	at := time.Now().UTC().Add(9 * time.Second).Truncate(time.Second)
	config := filepath.Join(writeFiles(t, t.TempDir(), map[string]string{"config.yaml": fmt.Sprintf(`plan_version: 1
manifest:
  manifest_version: 1
  id: toy
  name: Toy
  serve: {type: command, start_command: exec python3 -B server.py}
  state: {}
  data: {repository: https://data.example.org/x.git, mount: days}
service: {url: %q}
data: {url: %q}
end: {at: %q, warn: 7s, freeze: 4s}
`, onHost(t, "127.0.0.1", filepath.Dir(service.Dir))+"/upstream", onHost(t, "127.0.0.2", filepath.Dir(data.Dir))+"/upstream", at.Format("2006-01-02T15:04:05"))}), "config.yaml")

	u := startUp(t, root, "--config", config)
	u.await("/", "one for")
	u.touch("precious")
	post := func() *http.Response {
		resp, err := http.Post(u.url+"/", "text/plain", strings.NewReader("hello"))
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close() // its status is what counts
		return resp
	}
	u.until("frozen", func() bool { return u.status().ReadOnly })
	if resp := post(); resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a write while frozen is answered %s, Retry-After %q", resp.Status, resp.Header.Get("Retry-After"))
	}
	if status, _ := u.get("/"); status != http.StatusOK {
		t.Errorf("a read while frozen is answered %d", status)
	}
	over := func() bool { status, _ := u.get("/"); return status == http.StatusGone }
	u.until("over", over)
	archives := func() []string {
		found, err := filepath.Glob(filepath.Join(root, "var/lib/popup/vault/*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	kept := archives()
	if len(kept) != 1 || time.Now().Before(at) {
		t.Fatalf("it is over at %s with %v; want one archive, not before %s", time.Now(), kept, at)
	}
	f, err := os.Open(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := archive.Verify(t.Context(), f, archive.Limits{})
	if err != nil || !strings.Contains(fmt.Sprint(m), "precious") {
		t.Errorf("the archive: %v, %+v; want the state in it", err, m)
	}
	u.kill()
	u = startUp(t, root, "--config", config)
	for !over() {
		if resp := post(); resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusGone {
			t.Fatalf("a write after the final archive is answered %s", resp.Status)
		}
		time.Sleep(5 * time.Millisecond)
	}
	if now := archives(); len(now) != 1 || now[0] != kept[0] {
		t.Errorf("after the second start the vault holds %v; want %v", now, kept)
	}
	if _, err := os.Stat(u.state("precious")); err != nil {
		t.Errorf("the state is not whole: %v", err)
	}
	if err := u.stop(); err != nil {
		t.Fatal(err)
	}

	// Given a later end it lives on, and what is written now is archived at that one.
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().UTC().Add(5 * time.Second).Format("2006-01-02T15:04:05")
	text = []byte(strings.Replace(string(text), at.Format("2006-01-02T15:04:05"), later, 1))
	text = []byte(strings.Replace(string(text), "freeze: 4s", "freeze: 1s", 1))
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	u = startUp(t, root, "--config", config)
	u.await("/", "one for")
	u.until("over again", over)
	if now := archives(); len(now) != 2 {
		t.Errorf("after the second end the vault holds %v; want an archive of each", now)
	}
}
