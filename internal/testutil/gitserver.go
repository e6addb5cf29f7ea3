package testutil

import (
	"crypto/subtle"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
)

// A GitServer is real git http-backend behind a real listener of this machine.
type GitServer struct {
	URL string // serves DIR/name as URL/name

	requests atomic.Int64
	login    atomic.Pointer[[2]string]
	answer   atomic.Pointer[http.HandlerFunc]
}

// NewGitServer serves the repositories below dir until the test is over.
func NewGitServer(t testing.TB, dir string) *GitServer {
	t.Helper()
	s := &GitServer{}
	git := GitHandler(t, dir)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		if login := s.login.Load(); login != nil && !signedIn(r, *login) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		git.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	return s
}

// GitHandler answers for the repositories below dir with real git http-backend.
func GitHandler(t testing.TB, dir string) http.Handler {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatalf("find git: %v", err)
	}
	env := []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1"}
	for _, v := range GitEnv() {
		if strings.HasPrefix(v, "GIT_CONFIG_") {
			env = append(env, v)
		}
	}
	return &cgi.Handler{Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Env: env, Stderr: io.Discard}
}

// Requests is how many requests were made so far.
func (s *GitServer) Requests() int64 { return s.requests.Load() }

// Require lets only those in who sign in so, from now on.
func (s *GitServer) Require(user, password string) { s.login.Store(&[2]string{user, password}) }

// Answer has fn answer instead of git, from now on; nil gives git its place back.
func (s *GitServer) Answer(fn http.HandlerFunc) {
	if fn == nil {
		s.answer.Store(nil)
		return
	}
	s.answer.Store(&fn)
}

func signedIn(r *http.Request, login [2]string) bool {
	user, password, _ := r.BasicAuth()
	return user == login[0] && subtle.ConstantTimeCompare([]byte(password), []byte(login[1])) == 1
}
