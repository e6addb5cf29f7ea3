package datasync

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/wire"
)

func TestArchiveThatStalls(t *testing.T) {
	s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		if r.Method == http.MethodGet {
			_, _ = w.Write([]byte("\x1f\x8b"))
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
		}
	})
	s.guard.limp.Stall = 50 * time.Millisecond
	_, err := fetchInto(t, s, head(t, s))
	wantClass(t, err, git.Timeout, "no answer in time")
}

func TestArchiveRedirects(t *testing.T) {
	content := tarball(t, map[string]string{"a": "1"})
	secrets := make(chan string, 20)
	serve := func(w http.ResponseWriter, r *http.Request) {
		secrets <- r.Header.Get("Authorization") + r.Header.Get("Referer")
		w.Header().Set("ETag", `"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}
	other := httptest.NewServer(http.HandlerFunc(serve))
	t.Cleanup(other.Close)
	steps := func(n int) http.HandlerFunc { // n redirects on the same server
		return func(w http.ResponseWriter, r *http.Request) {
			var at int
			if _, err := fmt.Sscanf(r.URL.Path, "/%d", &at); err != nil || at < n {
				http.Redirect(w, r, fmt.Sprintf("/%d?signature=s3cret", at+1), http.StatusFound)
				return
			}
			serve(w, r)
		}
	}
	to := func(address string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, address, http.StatusFound) }
	}
	for name, c := range map[string]struct {
		handler http.HandlerFunc
		secret  string // what reaches the last server
		want    string // the error
	}{
		"same server":  {steps(1), "Bearer s3cret", ""},
		"five":         {steps(5), "Bearer s3cret", ""},
		"six":          {steps(6), "", "the server sends us on more than 5 times"},
		"other server": {to(other.URL), "", ""},
		"file":         {to("file:///etc/passwd"), "", "the server sends us on to what is no web address"},
		"no address":   {to("http://%zz/"), "", "Location"},
	} {
		t.Run(name, func(t *testing.T) {
			server := httptest.NewServer(c.handler)
			defer server.Close()
			token := filepath.Join(t.TempDir(), "token")
			if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			s := archiveAt(t, wire.Source{URL: server.URL + "/data.tar.gz?signature=s3cret", CredentialsFile: token})
			_, err := s.Head(t.Context())
			if c.want != "" {
				wantText(t, err, c.want)
				if strings.Contains(err.Error()+s.String(), "s3cret") {
					t.Errorf("a secret is in %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if got := <-secrets; got != c.secret {
				t.Errorf("the last server was told %q; want %q", got, c.secret)
			}
		})
	}
}

func TestArchiveOverTLS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("it went down to http") }))
	t.Cleanup(plain.Close)
	server := httptest.NewUnstartedServer(http.RedirectHandler(plain.URL, http.StatusFound))
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	s := archiveAt(t, wire.Source{URL: server.URL + "/data.zip"})
	_, err := s.Head(t.Context())
	wantClass(t, err, git.TLS, "the server's certificate is not trusted")
	s.guard.base.TLSClientConfig = &tls.Config{RootCAs: server.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs}
	_, err = s.Head(t.Context())
	wantText(t, err, "the server sends us on from https to http")
	_, err = archiveAt(t, wire.Source{URL: strings.Replace(plain.URL, "http:", "https:", 1)}).Head(t.Context())
	wantClass(t, err, git.TLS, "check the port")
}

func TestArchiveThatIsNotReached(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := closed.Addr().String()
	if err := closed.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = archiveAt(t, wire.Source{URL: "http://" + address + "/x.zip"}).Head(t.Context())
	wantClass(t, err, git.Unreachable, "the server is not reached", "check the address")
	_, err = archiveAt(t, wire.Source{URL: "https://nowhere.invalid/x.zip"}).Head(t.Context())
	wantClass(t, err, git.DNS, `the name "nowhere.invalid" was not found`)
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = archiveAt(t, wire.Source{URL: "http://" + address + "/x.zip"}).Head(stopped)
	wantText(t, err, "it was stopped")
}
