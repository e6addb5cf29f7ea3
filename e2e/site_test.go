package e2e

import (
	"bytes"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"popup/internal/testutil"
)

// A site is what a machine finds on its network: the two repositories of an
// app, by real git http-backend, and the popup binary.
type site struct {
	t       *testing.T
	url     string // as the machine sees it
	service *testutil.GitRepo
	data    *testutil.GitRepo
	mux     *http.ServeMux

	mu    sync.Mutex
	asked map[string]int // requests by path
}

// newSite serves on an address of this machine, which the guest knows by the
// name guest.
func newSite(t *testing.T, host, guest string) *site {
	t.Helper()
	s := &site{
		t: t, service: testutil.NewRepo(t), data: testutil.NewRepo(t),
		mux: http.NewServeMux(), asked: map[string]int{},
	}
	for name, repo := range map[string]*testutil.GitRepo{"/service": s.service, "/data": s.data} {
		s.mux.Handle(name+"/", http.StripPrefix(name, testutil.GitHandler(t, filepath.Dir(repo.Dir))))
	}
	s.mux.HandleFunc("/popup", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, program) })
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		s.mu.Unlock()
		s.mux.ServeHTTP(w, r)
	}))
	if err := server.Listener.Close(); err != nil {
		t.Fatal(err)
	}
	var err error
	if server.Listener, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		t.Fatal(err)
	}
	server.Start()
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.url = "http://" + net.JoinHostPort(guest, port)
	return s
}

// requests counts those for a path so far.
func (s *site) requests(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

// The addresses of the repositories, as the machine sees them.
func (s *site) serviceURL() string { return s.url + "/service/upstream" }
func (s *site) dataURL() string    { return s.url + "/data/upstream" }

// commitApp commits a shipped app as a fork of it, in which edits, old and new
// text in turn, were made to app.yaml. Its sample stays behind: the data is in
// a repository of its own.
func (s *site) commitApp(id string, edits ...string) {
	s.t.Helper()
	app := filepath.Join(testutil.RepositoryRoot(s.t), "apps", "catalogue", id)
	if err := os.CopyFS(s.service.Dir, os.DirFS(app)); err != nil {
		s.t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(s.service.Dir, "sample")); err != nil {
		s.t.Fatal(err)
	}
	name := filepath.Join(s.service.Dir, "app.yaml")
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(edits); i += 2 {
		if !strings.Contains(string(text), edits[i]) {
			s.t.Fatalf("app.yaml of %s has no %q", id, edits[i])
		}
	}
	s.service.Write("app.yaml", []byte(strings.NewReplacer(edits...).Replace(string(text))), 0o644)
	s.service.CommitAll()
}

// userData has popup render what launches the service's repository with the
// data's, and the flags that are given besides. The repository is read here, by
// its folder; the machine is told where it finds it.
func (s *site) userData(flags ...string) []byte {
	s.t.Helper()
	args := append([]string{"userdata", s.service.Dir, "--service", s.serviceURL(), "--binary", s.url + "/popup"}, flags...)
	cmd := exec.CommandContext(s.t.Context(), program, args...)
	cmd.Env = testutil.GitEnv()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		s.t.Fatalf("popup %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	s.t.Logf("user-data of %d bytes", stdout.Len())
	return stdout.Bytes()
}
