package web

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/internal/wire"
)

// opened listens, for as long as the test runs.
func opened(t *testing.T, o ListenOptions) *Listening {
	t.Helper()
	l, err := Listen(t.Context(), o)
	must(t, err)
	t.Cleanup(func() { l.Close() })
	return l
}

// shake is the certificate that a listener answers with.
func shake(t *testing.T, l *Listening) *tls.ConnectionState {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		if conn, err := l.Accept(); err == nil {
			conn.(*tls.Conn).HandshakeContext(t.Context())
			conn.Close()
		}
	}()
	_, port, err := net.SplitHostPort(l.Addr().String())
	must(t, err)
	conn, err := tls.Dial("tcp", "127.0.0.1:"+port, &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}})
	must(t, err)
	state := conn.ConnectionState()
	conn.Close()
	<-done
	return &state
}

// TestListenHere: on this machine alone it is plain http.
func TestListenHere(t *testing.T) {
	l := opened(t, ListenOptions{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	if l.URL != "http://"+l.Addr().String() || l.Pin != "" || l.Host != "127.0.0.1" {
		t.Errorf("it is reached at %s with the pin %q, on %s", l.URL, l.Pin, l.Host)
	}
	proxied := opened(t, ListenOptions{Addr: "127.0.0.1:0", URL: "https://console.example.org", Dir: t.TempDir()})
	if proxied.URL != "https://console.example.org" {
		t.Errorf("behind a proxy it is reached at %s", proxied.URL)
	}
}

// TestListenElsewhere: where others reach it there is a certificate, and its pin stays
// whatever happens to it.
func TestListenElsewhere(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "tls")
	first := opened(t, ListenOptions{Addr: "0.0.0.0:0", Dir: dir})
	if !strings.HasPrefix(first.URL, "https://") || strings.Contains(first.URL, "0.0.0.0") {
		t.Errorf("it is reached at %s", first.URL)
	}
	if ip := net.ParseIP(first.Host); ip == nil || ip.IsUnspecified() {
		t.Errorf("nobody reaches what listens on %s", first.Host)
	}
	state := shake(t, first)
	cert := state.PeerCertificates[0]
	if first.Pin == "" || wire.PinOf(cert) != first.Pin || (wire.Console{Pin: first.Pin}).CheckPin(cert) != nil {
		t.Errorf("its pin is %q, of the certificate %q", first.Pin, wire.PinOf(cert))
	}
	if state.NegotiatedProtocol != "h2" || state.Version < tls.VersionTLS12 {
		t.Errorf("it speaks %q, %x", state.NegotiatedProtocol, state.Version)
	}
	if left := time.Until(cert.NotAfter); left < 9*365*24*time.Hour {
		t.Errorf("it ends in %v, and instances pin it", left)
	}
	if err := cert.VerifyHostname("127.0.0.1"); err != nil {
		t.Error(err)
	}
	second := opened(t, ListenOptions{Addr: "0.0.0.0:0", URL: "https://console.test:8443", Dir: dir})
	if second.Pin != first.Pin {
		t.Errorf("started again its pin is %q, and was %q", second.Pin, first.Pin)
	}
	if err := shake(t, second).PeerCertificates[0].VerifyHostname("console.test"); err != nil {
		t.Error(err)
	}
	must(t, filepath.WalkDir(dir, func(path string, entry os.DirEntry, err error) error {
		must(t, err)
		info, err := entry.Info()
		must(t, err)
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		return nil
	}))
}

// TestListenRefuses: what cannot be served is said before anything is.
func TestListenRefuses(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "own.key")
	must(t, os.WriteFile(broken, []byte("nothing"), 0o600))
	taken := opened(t, ListenOptions{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	for name, test := range map[string]struct {
		o    ListenOptions
		says string
	}{
		"a certificate without a key": {ListenOptions{Addr: "127.0.0.1:0", CertFile: "a"}, "give both --cert and --key"},
		"a key without a certificate": {ListenOptions{Addr: "127.0.0.1:0", KeyFile: "a"}, "give both --cert and --key"},
		"files that are not there":    {ListenOptions{Addr: "127.0.0.1:0", CertFile: "/no/cert", KeyFile: "/no/key"}, "/no/cert"},
		"two ways at once":            {ListenOptions{Addr: "127.0.0.1:0", CertFile: "a", KeyFile: "b", Domains: []string{"example.org"}}, "one of them"},
		"a domain that is none":       {ListenOptions{Addr: "127.0.0.1:0", Domains: []string{"*.example.org"}}, "--domain"},
		"a URL with a path":           {ListenOptions{Addr: "127.0.0.1:0", URL: "https://example.org/console"}, "--url"},
		"an address that is taken":    {ListenOptions{Addr: taken.Addr().String()}, "--listen"},
		"a key that is none":          {ListenOptions{Addr: "0.0.0.0:0", Dir: filepath.Dir(broken)}, "holds no key"},
	} {
		if l, err := Listen(t.Context(), test.o); err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %v, %v", name, l, err)
		}
	}
}

// TestServeStops: what is under way is done, no stream is waited for, and then nobody answers.
func TestServeStops(t *testing.T) {
	s := newSite(t)
	s.claim(t)
	l := opened(t, ListenOptions{Addr: "127.0.0.1:0", Dir: t.TempDir()})
	ctx, stop := context.WithCancel(t.Context())
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := s.Serve(ctx, l); err != nil {
			t.Error(err)
		}
	})
	served := *s
	served.url = l.URL
	if got := served.do(t, request{method: "GET", path: "/healthz"}); got.status != 200 || got.body != "ok\n" {
		t.Errorf("it answers %d %s", got.status, got.body)
	}
	stream := served.listen(t, "olga", "", "")
	stream.next(t, "begin")
	under, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	defer under.Close()
	_, err = io.WriteString(under, "POST /api/v1/login HTTP/1.1\r\nHost: "+l.Addr().String()+"\r\nContent-Type: application/json\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
	must(t, err)
	answers := bufio.NewReader(under)
	if got, err := http.ReadResponse(answers, nil); err != nil || got.StatusCode != http.StatusContinue {
		t.Fatalf("its body is not waited for: %v, %v", got, err)
	}
	stop()
	told := time.Now()
	eventually(t, "stopped listening", func() bool {
		conn, err := net.Dial("tcp", l.Addr().String())
		if err == nil {
			conn.Close()
		}
		return err != nil
	})
	_, err = io.WriteString(under, "{}")
	must(t, err)
	if got, err := http.ReadResponse(answers, nil); err != nil || got.StatusCode != http.StatusUnauthorized {
		t.Errorf("what was under way is answered with %v, %v", got, err)
	}
	serving.Wait()
	if took := time.Since(told); took >= leaveTime {
		t.Errorf("it took %v to stop, while a browser listened", took)
	}
}
