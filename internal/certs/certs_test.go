package certs

import (
	"context"
	"crypto/tls"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/testutil"
	"popup/internal/testutil/authority"
)

// A site is an app behind Certs, on two ports of 127.0.0.1.
type site struct {
	*Certs
	http, https int
	logged      *testutil.Buffer
}

// listen opens a port for as long as the test runs.
func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) int { return l.Addr().(*net.TCPAddr).Port }

// start serves plain and secure until the test is over or close is called.
func start(t *testing.T, plain net.Listener, o Options) (s *site, stop func()) {
	t.Helper()
	secure := listen(t)
	s = &site{http: port(plain), https: port(secure), logged: &testutil.Buffer{}}
	o.HTTP, o.HTTPSPort = plain.Addr().(*net.TCPAddr), s.https
	o.Logger = slog.New(slog.NewTextHandler(s.logged, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	if s.Certs, err = New(o); err != nil {
		t.Fatal(err)
	}
	app := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the app over "+r.Proto) })
	servers := []*http.Server{{Handler: s.Plain(app)}, {Handler: app, TLSConfig: s.TLSConfig(), ErrorLog: slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug)}}
	var serving sync.WaitGroup
	serving.Go(func() { servers[0].Serve(plain) })
	serving.Go(func() { servers[1].ServeTLS(secure, "", "") })
	stop = sync.OnceFunc(func() {
		for _, server := range servers {
			server.Close()
		}
		serving.Wait()
		s.Close()
	})
	t.Cleanup(stop)
	return s, stop
}

// An answer is what a visitor sees.
type answer struct {
	status         int
	body, location string
	proto          string
}

// get visits url as somebody whose DNS leads here, and follows no redirect.
func (s *site) get(t *testing.T, ca *authority.Authority, method, url string) (answer, error) {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: ca.Issued},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, _ := net.SplitHostPort(address)
			return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return answer{resp.StatusCode, string(body), resp.Header.Get("Location"), resp.Proto}, err
}

func (s *site) mustGet(t *testing.T, ca *authority.Authority, method, url string) answer {
	t.Helper()
	got, err := s.get(t, ca, method, url)
	if err != nil {
		t.Fatalf("%s %s: %v", method, url, err)
	}
	return got
}

func (s *site) plainURL(host, path string) string {
	return "http://" + net.JoinHostPort(host, strconv.Itoa(s.http)) + path
}

func (s *site) secureURL(host, path string) string {
	return "https://" + net.JoinHostPort(host, strconv.Itoa(s.https)) + path
}

// eventually waits until done says so, and tells the log where it never does.
func (s *site) eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.After(30 * time.Second)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never %s; it logged:\n%s", what, s.logged)
		}
	}
}

func TestCertificateByHTTPChallenge(t *testing.T) {
	plain := listen(t)
	ca := authority.New(t, authority.Options{Port: port(plain)})
	dir := filepath.Join(t.TempDir(), "certs")
	s, _ := start(t, plain, Options{Domains: []string{"fair.popup.example", "www.popup.example"}, Email: "fair@popup.example", Dir: dir, Directory: ca.Directory, Roots: ca.Roots})

	if got := s.mustGet(t, ca, "GET", s.plainURL("fair.popup.example", "/")); got.body != "the app over HTTP/1.1" {
		t.Errorf("before there is a certificate, plain http answers %+v", got)
	}
	if _, err := s.get(t, ca, "GET", s.secureURL("fair.popup.example", "/")); err == nil {
		t.Error("https answers without a certificate")
	}

	s.Manage(t.Context())
	s.eventually(t, "got both certificates", func() bool { return s.Covers("fair.popup.example") && s.Covers("WWW.popup.example.") })
	for _, host := range []string{"fair.popup.example", "www.popup.example"} {
		if got := s.mustGet(t, ca, "GET", s.secureURL(host, "/")); got.body != "the app over HTTP/2.0" {
			t.Errorf("https of %s answers %+v", host, got)
		}
	}
	if _, err := s.get(t, ca, "GET", s.secureURL("other.popup.example", "/")); err == nil {
		t.Error("https answers for a name that is not ours")
	}

	for _, c := range []struct{ method, host, path, location string }{
		{"GET", "fair.popup.example", "/a%2Fb?c=d", s.secureURL("fair.popup.example", "/a%2Fb?c=d")},
		{"POST", "www.popup.example", "/bid", s.secureURL("www.popup.example", "/bid")},
		{"GET", "127.0.0.1", "/", s.secureURL("fair.popup.example", "/")},
		{"GET", "fair.popup.example", "//evil.example/", s.secureURL("fair.popup.example", "//evil.example/")},
		{"GET", "fair.popup.example", "/.well-known/acme-challenge/unknown", s.secureURL("fair.popup.example", "/.well-known/acme-challenge/unknown")},
	} {
		got := s.mustGet(t, ca, c.method, s.plainURL(c.host, c.path))
		if got.status != http.StatusTemporaryRedirect || got.location != c.location {
			t.Errorf("%s http://%s%s answers %d to %s, want %s", c.method, c.host, c.path, got.status, got.location, c.location)
		}
	}
	if got := s.mustGet(t, ca, "GET", s.plainURL("127.0.0.1", readyPath)); got.status != 200 {
		t.Errorf("%s answers %+v", readyPath, got)
	}
	if problems := s.Problems(); len(problems) > 0 {
		t.Error(problems)
	}
	checkClosed(t, dir)
}

// checkClosed wants nobody else to read what is in dir.
func checkClosed(t *testing.T, dir string) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err == nil && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %s", path, info.Mode())
		}
		files++
		return err
	})
	if err != nil || files < 6 {
		t.Errorf("%d files, %v", files, err)
	}
}

func TestRestartAsksNobody(t *testing.T) {
	plain := listen(t)
	ca := authority.New(t, authority.Options{Port: port(plain)})
	o := Options{Domains: []string{"fair.popup.example"}, Dir: t.TempDir(), Directory: ca.Directory, Roots: ca.Roots}
	first, stop := start(t, plain, o)
	first.Manage(t.Context())
	first.eventually(t, "got a certificate", func() bool { return first.Covers("fair.popup.example") })
	stop()
	if orders := ca.Requests("order-plz"); orders != 1 {
		t.Errorf("%d orders for one certificate", orders)
	}

	before := ca.Requests("")
	second, _ := start(t, listen(t), o)
	second.Manage(t.Context())
	second.eventually(t, "loaded the certificate", func() bool { return second.Covers("fair.popup.example") })
	if got := second.mustGet(t, ca, "GET", second.secureURL("fair.popup.example", "/")); got.status != 200 {
		t.Errorf("https answers %+v", got)
	}
	if after := ca.Requests(""); after != before {
		t.Errorf("a restart made %d requests", after-before)
	}
}

func TestOldCertificate(t *testing.T) {
	plain := listen(t)
	ca := authority.New(t, authority.Options{Port: port(plain), Validity: 4})
	o := Options{Domains: []string{"fair.popup.example"}, Dir: t.TempDir(), Directory: ca.Directory, Roots: ca.Roots}
	first, stop := start(t, plain, o)
	first.Manage(t.Context())
	first.eventually(t, "got a certificate", func() bool { return first.Covers("fair.popup.example") })
	first.eventually(t, "saw it expire", func() bool { return !first.Covers("fair.popup.example") })
	if got := first.mustGet(t, ca, "GET", first.plainURL("fair.popup.example", "/")); got.status != 200 {
		t.Errorf("with an expired certificate, plain http answers %+v", got)
	}
	stop()

	again, err := net.Listen("tcp", plain.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	second, _ := start(t, again, o)
	second.Manage(t.Context())
	second.eventually(t, "renewed what had expired", func() bool { return second.Covers("fair.popup.example") })
	if got := second.mustGet(t, ca, "GET", second.secureURL("fair.popup.example", "/")); got.status != 200 {
		t.Errorf("https answers %+v", got)
	}
}

func TestTroubleLeavesPlainHTTP(t *testing.T) {
	for _, c := range []struct {
		name string
		down bool // the authority; else the name leads elsewhere
		want string
	}{
		{"authority down", true, "fair.popup.example has no certificate yet, is answered in plain http, and it is tried again: "},
		{"name leads elsewhere", false, "is tried again: the authority says: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, elsewhere := listen(t), listen(t)
			elsewhere.Close()
			ca := authority.New(t, authority.Options{Port: port(elsewhere)})
			ca.SetDown(c.down)
			s, stop := start(t, plain, Options{Domains: []string{"fair.popup.example"}, Dir: t.TempDir(), Directory: ca.Directory, Roots: ca.Roots})
			s.Manage(t.Context())
			s.eventually(t, "told the trouble", func() bool { return len(s.Problems()) == 1 })
			if got := s.Problems()[0]; !strings.Contains(got, c.want) || !strings.Contains(got, "see that its DNS leads to this machine") {
				t.Errorf("it tells: %s", got)
			}
			if n := strings.Count(s.logged.String(), "level=WARN"); n != 1 {
				t.Errorf("the trouble was told %d times:\n%s", n, s.logged)
			}
			if got := s.mustGet(t, ca, "GET", s.plainURL("fair.popup.example", "/")); got.body != "the app over HTTP/1.1" {
				t.Errorf("plain http answers %+v", got)
			}
			began := time.Now()
			stop()
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("closing in the middle of an attempt took %v", took)
			}
		})
	}
}

func TestNew(t *testing.T) {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	address := &net.TCPAddr{Port: 80}
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Dir: dir, HTTP: address}, "no domain"},
		{Options{Dir: dir, Domains: []string{"fair.popup.example"}}, "no plain http"},
		{Options{Dir: "/dev/null/certs", HTTP: address, Domains: []string{"fair.popup.example"}}, "create folder of certificates"},
	} {
		if _, err := New(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("New(%+v): %v, want %s", c.o, err, c.want)
		}
	}
	c, err := New(Options{Dir: dir, HTTP: address, Domains: []string{"fair.popup.example"}})
	if err != nil {
		t.Fatal(err)
	}
	c.Close() // without Manage
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder has mode %v, %v", info.Mode(), err)
	}
}
