package git_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/testutil"
)

// manyRefs gives a repository 20,000 branches more.
func manyRefs(t *testing.T, r *testutil.GitRepo) {
	t.Helper()
	var lines strings.Builder
	for n := range 20_000 {
		fmt.Fprintf(&lines, "create refs/heads/topic-%05d %s\n", n, r.Head())
	}
	cmd := exec.Command("git", "update-ref", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = r.Dir, testutil.GitEnv(), strings.NewReader(lines.String())
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git update-ref: %v: %s", err, out)
	}
	r.Git("pack-refs", "--all")
}

// A poll is one request, and its answer is as small where there are many references.
func TestPollIsOneSmallRequest(t *testing.T) {
	repo := testutil.NewRepo(t)
	want := repo.Commit(map[string]string{"n": "1"})
	repo.Git("tag", "v1")
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	for _, refs := range []string{"3 references", "20,000 references"} {
		if refs != "3 references" {
			manyRefs(t, repo)
		}
		var m meter.Meter
		r := remote(t, server.URL+"/upstream", git.Options{Meter: &m})
		for _, ref := range []string{"", "main", "refs/heads/main", "v1"} {
			before, asked := m.Read(), server.Requests()
			head, err := r.Head(t.Context(), ref)
			if err != nil || string(head) != want {
				t.Fatalf("Head(%q) = %s, %v; want %s", ref, head, err, want)
			}
			cost := m.Read()
			in, out := cost.BytesIn-before.BytesIn, cost.BytesOut-before.BytesOut
			if in > 310 || in == 0 || out > 500 || cost.Requests-before.Requests != 1 || server.Requests()-asked != 1 {
				t.Errorf("%s, a poll of %q cost %d requests, %d bytes down and %d up; want one, at most 310, 500",
					refs, ref, server.Requests()-asked, in, out)
			}
			t.Logf("%s, %q: %d bytes down, %d up", refs, ref, in, out)
		}
	}
}

// counted are options that count the connections that are made.
func counted(n *atomic.Int64) git.Options {
	return git.Options{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		n.Add(1)
		return new(net.Dialer).DialContext(ctx, network, address)
	}}
}

func TestPollsShareAConnection(t *testing.T) {
	repo := testutil.NewRepo(t)
	repo.Commit(map[string]string{"n": "1"})
	var made atomic.Int64
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole := httptest.NewRecorder()
		backend.ServeHTTP(whole, r)
		w.Header().Set("Content-Type", whole.Header().Get("Content-Type"))
		w.WriteHeader(whole.Code)
		for _, b := range whole.Body.Bytes() { // its end comes later than what was asked for
			_, _ = w.Write([]byte{b})
			w.(http.Flusher).Flush()
		}
	}))
	t.Cleanup(server.Close)
	r := remote(t, server.URL+"/upstream", counted(&made))
	for n := range 3 {
		head, err := r.Head(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := fetch(t, r, head); err != nil {
			t.Fatal(err)
		}
		_, err = r.Head(t.Context(), fmt.Sprint("none", n))
		wantError(t, err, git.NoBranch)
	}
	if made.Load() != 1 {
		t.Errorf("%d connections were made; want 1", made.Load())
	}
	// A server closes what is idle: that is no error of the next poll's.
	server.CloseClientConnections()
	if _, err := r.Head(t.Context(), "main"); err != nil || made.Load() != 2 {
		t.Errorf("after the server closed the connection: %v, and %d were made; want 2", err, made.Load())
	}
}

// An old server is found out once in an hour.
func TestOldServerIsRemembered(t *testing.T) {
	repo := testutil.NewRepo(t)
	want := repo.Commit(map[string]string{"n": "1"})
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	var asked []string
	var old, busy atomic.Bool
	old.Store(true)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method)
		if busy.Load() {
			http.Error(w, "", http.StatusServiceUnavailable)
			return
		}
		if old.Load() {
			r.Header.Del("Git-Protocol")
		}
		backend.ServeHTTP(w, r)
	})
	var made atomic.Int64
	r := remote(t, url+"/upstream", counted(&made))
	poll := func(what, requests string) {
		t.Helper()
		asked = nil
		head, err := r.Head(t.Context(), "main")
		if !busy.Load() && (err != nil || string(head) != want) {
			t.Errorf("%s: %s, %v; want %s", what, head, err, want)
		}
		if got := strings.Join(asked, " "); got != requests {
			t.Errorf("%s: asked %s; want %s", what, got, requests)
		}
	}
	poll("first", "POST GET")
	poll("then", "GET")
	if made.Load() != 1 {
		t.Errorf("%d connections were made; want 1", made.Load())
	}
	asked = nil
	if dir, err := fetch(t, r, git.Commit(want)); err != nil || listing(t, dir)["n"] != "file false 1" {
		t.Errorf("fetched %v, %v", listing(t, dir), err)
	}
	if got := strings.Join(asked, " "); got != "GET POST" {
		t.Errorf("a fetch asked %s; want GET POST", got)
	}
	r.AnHourLater()
	poll("after an hour", "POST GET")
	busy.Store(true)
	poll("busy", "GET")
	busy.Store(false)
	poll("after an error", "POST GET")
	old.Store(false)
	poll("a new server", "GET POST")
	poll("then", "POST")
}

// Servers turn down what they do not know in their own ways.
func TestRefusedVersion2(t *testing.T) {
	repo := testutil.NewRepo(t)
	want := git.Commit(repo.Commit(map[string]string{"n": "1"}))
	backend := testutil.GitHandler(t, filepath.Dir(repo.Dir))
	const kind = "application/x-git-upload-pack-result"
	for name, c := range map[string]struct {
		status     int
		kind, body string
	}{
		"not found": {404, "text/plain", "not found"}, "method": {405, "", ""}, "media": {415, "", ""}, "internal": {500, "", ""}, "login": {302, "", ""},
		"page": {200, "text/html", "<html>"}, "nothing": {200, kind, ""}, "garbage": {200, kind, "<html>"},
		"words": {200, kind, "001aERR what is ls-refs?\n\n"},
	} {
		for _, old := range []bool{true, false} {
			t.Run(fmt.Sprint(name, "/old=", old), func(t *testing.T) {
				known := old
				url := serve(t, func(w http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost && !known {
						known = true
						w.Header().Set("Content-Type", c.kind)
						w.Header().Set("Location", "/login")
						w.WriteHeader(c.status)
						_, _ = w.Write([]byte(c.body))
						return
					}
					if old {
						r.Header.Del("Git-Protocol")
					}
					backend.ServeHTTP(w, r)
				})
				known = false
				r := remote(t, url+"/upstream", git.Options{})
				if head, err := r.Head(t.Context(), "main"); err != nil || head != want {
					t.Errorf("Head = %s, %v; want %s", head, err, want)
				}
				known = false
				r.AnHourLater()
				if _, err := fetch(t, r, want); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

func TestSHA256IsNamed(t *testing.T) {
	dir := t.TempDir()
	cmd := exec.Command("git", "init", "-q", "--object-format=sha256", filepath.Join(dir, "upstream"))
	cmd.Env = testutil.GitEnv()
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	server := testutil.NewGitServer(t, dir)
	_, err := remote(t, server.URL+"/upstream", git.Options{}).Head(t.Context(), "")
	wantError(t, err, git.Other, `the repository names its commits by "sha256", which is not read yet`)
}
