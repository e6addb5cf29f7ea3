package git_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"popup/internal/git"
	"popup/internal/testutil"
)

// A repository that moved is followed, and where it is now is remembered.
func TestRedirectsAreFollowed(t *testing.T) {
	repo := testutil.NewRepo(t)
	want := git.Commit(repo.Commit(map[string]string{"n": "1"}))
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	for _, status := range []int{301, 302, 303, 307, 308} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			var asked atomic.Int64
			url := serve(t, func(w http.ResponseWriter, r *http.Request) {
				asked.Add(1)
				http.Redirect(w, r, server.URL+"/upstream"+strings.TrimPrefix(r.RequestURI, "/moved"), status)
			})
			r := remote(t, url+"/moved", git.Options{})
			for range 2 {
				if head, err := r.Head(t.Context(), "main"); err != nil || head != want {
					t.Fatalf("Head = %s, %v; want %s", head, err, want)
				}
			}
			if dir, err := fetch(t, r, want); err != nil || listing(t, dir)["n"] != "file false 1" {
				t.Errorf("fetched %v, %v", listing(t, dir), err)
			}
			if asked.Load() != 1 {
				t.Errorf("the old address was asked %d times; want once", asked.Load())
			}
			r.AnHourLater()
			if _, err := r.Head(t.Context(), "main"); err != nil || asked.Load() != 2 {
				t.Errorf("after an hour: %v, and it was asked %d times; want once more", err, asked.Load())
			}
		})
	}
}

func TestRedirectsThatAreNotFollowed(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("0000000000000000000000000000000000000001\trefs/heads/main\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		location string
		class    git.Class
		want     string
	}{
		"file":    {"file://" + secret, git.Other, `redirects to a "file" address, and only http and https are followed`},
		"ftp":     {"ftp://user:s3cret@127.0.0.1/x/git-upload-pack", git.Other, `redirects to a "ftp" address`},
		"ssh":     {"ssh://127.0.0.1/x/git-upload-pack", git.Other, `redirects to a "ssh" address`},
		"no host": {"http:///x/git-upload-pack", git.Other, `redirects to a "http" address`},
		"nowhere": {"", git.Other, "redirects to what is no address"},
		"no URL":  {"http://[::1/x", git.Other, "redirects to what is no address"},
		"login":   {"/users/sign_in?token=s3cret", git.NotRepository, "it redirects to a page of 127.0.0.1:"},
		"loop":    {"?", git.NotRepository, "it redirects to a page"},
	} {
		t.Run(name, func(t *testing.T) {
			url := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", c.location)
				w.WriteHeader(http.StatusFound)
			})
			_, err := remote(t, url+"/x", git.Options{}).Head(t.Context(), "")
			wantError(t, err, c.class, c.want)
			if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), secret) {
				t.Errorf("the message repeats what the server said: %v", err)
			}
		})
	}
	var asked atomic.Int64
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, fmt.Sprintf("/%d/git-upload-pack", asked.Add(1)), http.StatusTemporaryRedirect)
	})
	_, err := remote(t, url+"/x", git.Options{}).Head(t.Context(), "")
	wantError(t, err, git.Other, "redirects more than 5 times")
	if asked.Load() != 6 {
		t.Errorf("%d requests were made; want 6", asked.Load())
	}
}

// A password goes to the address's own server alone, and to no other port of it.
func TestPasswordStaysWithItsServer(t *testing.T) {
	var sent atomic.Value
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sent.Store("nothing" + r.Header.Get("Authorization"))
		w.WriteHeader(http.StatusUnauthorized)
	}))
	t.Cleanup(other.Close)
	url := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") == "" {
			t.Error("the address's own server was sent no password")
		}
		http.Redirect(w, r, strings.Replace(other.URL, "//", "//evil:user@", 1)+r.RequestURI, http.StatusFound)
	})
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("robot:s3cret"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := remote(t, url+"/upstream", git.Options{CredentialsFile: file}).Head(t.Context(), "")
	wantError(t, err, git.Credentials, "the server redirects to "+strings.TrimPrefix(other.URL, "http://")+", which wants credentials (401)", "write the new address")
	if sent.Load() != "nothing" {
		t.Errorf("the other server was sent %q", sent.Load())
	}
}
