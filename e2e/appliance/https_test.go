package appliance

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/internal/testutil"
	"popup/internal/testutil/authority"
)

// A visitor's DNS leads every name to this machine; no redirect is followed.
func visit(ca *authority.Authority, url string) (status int, body, location string, err error) {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{RootCAs: ca.Issued},
		ForceAttemptHTTP2: true,
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			_, port, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return (&net.Dialer{}).DialContext(ctx, network, "127.0.0.1:"+port)
		},
	}
	defer transport.CloseIdleConnections()
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return 0, "", "", err
	}
	resp, err := transport.RoundTrip(request)
	if err != nil {
		return 0, "", "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Proto + " " + string(text), resp.Header.Get("Location"), err
}

// freePort is one that nobody listens on now.
func freePort(t *testing.T) int {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port
}

// securePlan writes a plan that serves one page at fair.popup.example.
func securePlan(t *testing.T, dir string, plain, secure int, directory string) string {
	t.Helper()
	site := writeFiles(t, filepath.Join(dir, "site"), map[string]string{"index.html": "welcome"})
	return filepath.Join(writeFiles(t, dir, map[string]string{"plan.yaml": fmt.Sprintf(`plan_version: 1
manifest:
  manifest_version: 1
  id: fair
  name: Fair
  serve: {type: static}
  health_check: {contains: welcome}
service: {kind: folder, url: %s}
serve:
  listen: 127.0.0.1:%d
  domains: [Fair.popup.example]
  listen_tls: 127.0.0.1:%d
  acme_directory: %s
`, site, plain, secure, directory)}), "plan.yaml")
}

// Plain http serves while the authority is down; a restart with the authority up
// gets a certificate; another one asks nobody and has it at once.
func TestDomainIsServedOverHTTPS(t *testing.T) {
	plain, secure := freePort(t), freePort(t)
	ca := authority.New(t, authority.Options{Port: plain})
	dir, root := tempRoot(t), tempRoot(t)
	writeFiles(t, dir, map[string]string{"authority.pem": string(ca.PEM)})
	t.Setenv("SSL_CERT_FILE", filepath.Join(dir, "authority.pem"))
	config := securePlan(t, dir, plain, secure, ca.Directory)
	httpURL, httpsURL := fmt.Sprintf("http://fair.popup.example:%d/", plain), fmt.Sprintf("https://fair.popup.example:%d/", secure)

	ca.SetDown(true)
	u := &up{t: t, root: root, log: &testutil.Buffer{}, done: make(chan struct{})}
	u.run("up", "--root", root, "--config", config)
	u.await("/", "welcome")
	u.until("the status tells the trouble", func() bool {
		return strings.Contains(strings.Join(u.status().Notes, "\n"), "fair.popup.example has no certificate yet, is answered in plain http")
	})
	if status, body, _, err := visit(ca, httpURL); err != nil || status != http.StatusOK {
		t.Errorf("plain http answers %d %q, %v", status, body, err)
	}
	if err := u.stop(); err != nil {
		t.Errorf("stop in the middle of an attempt: %v; log:\n%s", err, u.log)
	}

	for _, c := range []struct {
		name   string
		orders int
	}{{"authority up", 1}, {"restart", 0}} {
		ca.SetDown(false)
		before := ca.Requests("order-plz")
		u = &up{t: t, root: root, log: &testutil.Buffer{}, done: make(chan struct{})}
		u.run("up", "--root", root, "--config", config)
		u.until(c.name+": https answers", func() bool {
			status, body, _, err := visit(ca, httpsURL)
			return err == nil && status == http.StatusOK && body == "HTTP/2.0 welcome"
		})
		if status, _, location, err := visit(ca, httpURL); err != nil || status != http.StatusTemporaryRedirect || location != httpsURL {
			t.Errorf("%s: plain http answers %d to %q, %v", c.name, status, location, err)
		}
		if status, _ := u.get("/.well-known/popup/ready"); status != http.StatusOK {
			t.Errorf("%s: ready answers %d in plain http", c.name, status)
		}
		if orders := ca.Requests("order-plz") - before; orders != c.orders {
			t.Errorf("%s: %d certificates were ordered, want %d", c.name, orders, c.orders)
		}
		if notes := strings.Join(u.status().Notes, "\n"); strings.Contains(notes, "certificate") {
			t.Errorf("%s: the status notes %s", c.name, notes)
		}
		if err := u.stop(); err != nil {
			t.Errorf("%s: stop: %v; log:\n%s", c.name, err, u.log)
		}
	}
	info, err := os.Stat(filepath.Join(root, "var/lib/popup/certs"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the folder of keys: %v, %v", info, err)
	}
}

// What is tried elsewhere, by --listen, is plain http.
func TestListenElsewhereIsPlain(t *testing.T) {
	ca := authority.New(t, authority.Options{Port: freePort(t)})
	u := startUp(t, tempRoot(t), "--config", securePlan(t, tempRoot(t), freePort(t), freePort(t), ca.Directory))
	u.await("/", "welcome")
	if notes := strings.Join(u.status().Notes, "\n"); !strings.Contains(notes, "https is not answered for Fair.popup.example") {
		t.Errorf("the status notes %s", notes)
	}
	if n := ca.Requests(""); n != 0 {
		t.Errorf("the authority was asked %d times", n)
	}
}
