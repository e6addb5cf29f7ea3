package git_test

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/testutil"
)

func TestCredentialsAreReadAtEveryUse(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	server.Require("robot", "first-secret")
	file := filepath.Join(t.TempDir(), "credentials")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := remote(t, server.URL+"/upstream", git.Options{}).Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the server wants credentials (401), and none are set")

	r := remote(t, server.URL+"/upstream", git.Options{CredentialsFile: file})
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the credentials file cannot be read")
	write("\n")
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the credentials file is empty")
	write("robot:first-secret\n")
	if _, err := r.Head(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	server.Require("robot", "second-secret")
	_, err = r.Head(t.Context(), "")
	wantError(t, err, git.Credentials, "credentials refused (401); renew what is in the credentials file")
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the message holds the password: %v", err)
	}
	write("robot:second-secret")
	head, err := r.Head(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := fetch(t, r, head); err != nil {
		t.Fatal(err)
	}
}

// A token is sent as a bearer, and never to where a server redirects us.
func TestTokenStaysWithItsServer(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	target := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	target.Answer(func(w http.ResponseWriter, r *http.Request) {
		if got := r.Header.Get("Authorization"); got != "" {
			t.Errorf("the other server was sent %q", got)
		}
		backend.ServeHTTP(w, r)
	})
	var sent string
	first := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent = r.Header.Get("Authorization")
		http.Redirect(w, r, strings.Replace(target.URL, "127.0.0.1", "localhost", 1)+r.RequestURI, http.StatusFound)
	}))
	t.Cleanup(first.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("tok-en\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := remote(t, first.URL+"/upstream", git.Options{CredentialsFile: file}).Head(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	if sent != "Bearer tok-en" {
		t.Errorf("the server was sent %q; want the token", sent)
	}
}

func TestServersThatDoNotServe(t *testing.T) {
	answer := func(code int, header, value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(header, value)
			http.Error(w, strings.Repeat("go away ", 1000), code)
		}
	}
	plain := httptest.NewServer(answer(200, "X", ""))
	t.Cleanup(plain.Close)
	secure := httptest.NewUnstartedServer(answer(200, "X", ""))
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	serve := func(h http.HandlerFunc) string {
		s := httptest.NewServer(h)
		t.Cleanup(s.Close)
		return s.URL
	}
	for name, c := range map[string]struct {
		url   string
		class git.Class
		want  string
		after time.Duration
	}{
		"busy":      {serve(answer(429, "Retry-After", "90")), git.RateLimited, "come less often", 90 * time.Second},
		"forbidden": {serve(answer(403, "X", "")), git.Credentials, "wants credentials (403)", 0},
		"limited":   {serve(answer(403, "Retry-After", "5")), git.RateLimited, "come less often", 5 * time.Second},
		"down":      {serve(answer(503, "Retry-After", "7")), git.Other, "the server answered 503 Service Unavailable", 7 * time.Second},
		"refused":   {"http://" + closed.Addr().String() + "/x", git.Unreachable, "connection refused", 0},
		"unknown":   {"http://no-such-host.invalid/x", git.DNS, `the name "no-such-host.invalid" was not found`, 0},
		"untrusted": {secure.URL, git.TLS, "certificate is not trusted", 0},
		"plain":     {strings.Replace(plain.URL, "http:", "https:", 1), git.TLS, "speaks https", 0},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := remote(t, c.url, git.Options{}).Head(t.Context(), "")
			wantError(t, err, c.class, c.want)
			var e *git.Error
			if errors.As(err, &e) && e.RetryAfter() != c.after {
				t.Errorf("retry after %v; want %v", e.RetryAfter(), c.after)
			}
			if strings.Contains(err.Error(), "go away") {
				t.Errorf("the message repeats the server's page: %v", err)
			}
		})
	}
}

func TestStopped(t *testing.T) {
	release := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := remote(t, server.URL, git.Options{}).Head(ctx, "")
	wantError(t, err, git.Timeout, "no answer in time")
	ctx, cancel = context.WithCancel(t.Context())
	cancel()
	_, err = remote(t, server.URL, git.Options{}).Head(ctx, "")
	wantError(t, err, git.Other, "it was stopped")
}

func TestDialContextMakesEveryConnection(t *testing.T) {
	refuse := errors.New("that address is not for you")
	opts := git.Options{DialContext: func(context.Context, string, string) (net.Conn, error) { return nil, refuse }}
	for _, url := range []string{"http://127.0.0.1:1/x", "https://127.0.0.1:1/x", "git@127.0.0.1:x"} {
		_, err := remote(t, url, opts).Head(t.Context(), "")
		if !errors.Is(err, refuse) {
			t.Errorf("%s: %v; want the dialer's refusal", url, err)
		}
	}
}

func TestCutOffPack(t *testing.T) {
	repo := richRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			backend.ServeHTTP(w, r)
			return
		}
		whole := httptest.NewRecorder()
		backend.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		if _, err := w.Write(whole.Body.Bytes()[:whole.Body.Len()*3/4]); err != nil {
			t.Error(err)
		}
	})
	_, err := fetch(t, remote(t, server.URL+"/upstream", git.Options{}), git.Commit(repo.Head()))
	if err == nil {
		t.Fatal("a pack that was cut off was taken")
	}
}
