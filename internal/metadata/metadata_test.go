package metadata

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/identity"
	"popup/internal/machine"
)

// serve has New's clients ask handler.
func serve(t *testing.T, handler http.Handler) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	t.Setenv(endpointEnv, server.URL+"/")
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func imds(t *testing.T, cfg machine.MetadataConfig) *machine.IMDS {
	t.Helper()
	cfg.InstanceID = "i-0123456789abcdef0"
	m, err := machine.NewIMDS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestIdentityVerifies(t *testing.T) {
	signer, err := machine.NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	proof, err := serve(t, imds(t, machine.MetadataConfig{Signer: signer, Region: "eu-west-1"})).Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cloud.pem"), signer.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := identity.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d, err := v.Verify(*proof); err != nil || d.InstanceID != "i-0123456789abcdef0" || d.Region != "eu-west-1" {
		t.Errorf("it says %+v, %v", d, err)
	}
	if _, err := serve(t, imds(t, machine.MetadataConfig{})).Identity(t.Context()); !errors.Is(err, ErrNone) || !strings.Contains(err.Error(), "instance-identity/document") {
		t.Errorf("of a cloud that signs nothing: %v", err)
	}
}

// TestToken: one is asked for, kept, brought again when the service forgot it, and
// renewed before its end.
func TestToken(t *testing.T) {
	var puts atomic.Int64
	var service atomic.Pointer[machine.IMDS]
	service.Store(imds(t, machine.MetadataConfig{}))
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPut {
			puts.Add(1)
		}
		service.Load().ServeHTTP(w, r)
	}))
	get := func(puted int64) {
		t.Helper()
		if text, err := c.get(t.Context(), "/latest/meta-data/instance-id"); err != nil || string(text) != "i-0123456789abcdef0" {
			t.Errorf("it says %q, %v", text, err)
		}
		if puts.Load() != puted {
			t.Errorf("it asked for %d tokens, want %d", puts.Load(), puted)
		}
	}
	get(1)
	get(1)
	service.Store(imds(t, machine.MetadataConfig{})) // with another key
	get(2)
	if left := time.Until(c.until); left > tokenTTL-tokenSpare || left < tokenTTL-2*tokenSpare {
		t.Errorf("it takes the token for good for %s", left)
	}
	c.until = time.Now().Add(-time.Second)
	get(3)
}

func TestFirstVersion(t *testing.T) {
	old := imds(t, machine.MetadataConfig{AllowV1: true})
	for _, status := range []int{http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotImplemented} {
		c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut {
				w.WriteHeader(status)
				return
			}
			if _, sent := r.Header[http.CanonicalHeaderKey(tokenHeader)]; sent {
				t.Error("a token is sent that nobody gave")
			}
			old.ServeHTTP(w, r)
		}))
		if text, err := c.get(t.Context(), "/latest/meta-data/instance-id"); err != nil || string(text) != "i-0123456789abcdef0" {
			t.Errorf("%d: it says %q, %v", status, text, err)
		}
	}
}

func TestRefusals(t *testing.T) {
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPut && status != http.StatusForbidden {
				_, _ = w.Write([]byte("token"))
				return
			}
			w.Header().Set("Location", "http://127.0.0.1:1/")
			w.WriteHeader(status)
			_, _ = w.Write([]byte(body))
		}
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		want    string
	}{
		"no token":        {answer(403, ""), "for a token: it answered 403 Forbidden; the metadata options of the instance must let it ask"},
		"a broken token":  {func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("a\r\nb")) }, "for a token: it answered 200"},
		"never let in":    {answer(401, ""), "for /x: it answered 401 Unauthorized"},
		"sent elsewhere":  {answer(302, ""), "for /x: it answered 302 Found"},
		"broken":          {answer(500, ""), "for /x: it answered 500"},
		"an endless one":  {answer(200, strings.Repeat("x", maxAnswer+1)), "for /x: its answer has more than 65536 bytes"},
		"an aborted one":  {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "no instance metadata service answers at http://127.0.0.1:"},
		"what is nowhere": {answer(404, ""), "for /x: the instance metadata service has none"},
	} {
		if text, err := serve(t, tc.handler).get(t.Context(), "/x"); err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %q, %v; want %q", name, text, err, tc.want)
		}
	}
}

// TestAway: where nobody answers, that is known soon, and a proxy is not asked.
func TestAway(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv(endpointEnv, "http://"+listener.Addr().String())
	c, err := New()
	if err != nil {
		t.Fatal(err)
	}
	if c.http.Transport.(*http.Transport).Proxy != nil {
		t.Error("it lets a proxy ask")
	}
	ctx, cancel := context.WithTimeoutCause(t.Context(), 100*time.Millisecond, errors.New("the test is over"))
	defer cancel()
	if _, err := c.get(ctx, "/x"); err == nil || !strings.Contains(err.Error(), "the test is over") {
		t.Errorf("it takes connections and says nothing: %v", err)
	}
	c.http.Timeout = 100 * time.Millisecond
	if _, err := c.get(t.Context(), "/x"); !errors.Is(err, ErrAway) || !strings.Contains(err.Error(), "hop limit") {
		t.Errorf("it takes connections and says nothing: %v", err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.get(t.Context(), "/x"); !errors.Is(err, ErrAway) {
		t.Errorf("it is closed: %v", err)
	}
	for _, bad := range []string{"169.254.169.254", "ftp://x", "http://me:hush@x", "http://x?y"} {
		t.Setenv(endpointEnv, bad)
		if _, err := New(); err == nil || !strings.Contains(err.Error(), endpointEnv+" is no web address") || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}

func TestHere(t *testing.T) {
	for name, tc := range map[string]struct {
		file, text string
		want       bool
	}{
		"Amazon's":         {"class/dmi/id/sys_vendor", "Amazon EC2\n", true},
		"one like it":      {"class/dmi/id/product_uuid", "EC2F9A01-0000-0000-0000-000000000000\n", true},
		"Xen's":            {"hypervisor/uuid", "ec2f9a01-0000-0000-0000-000000000000\n", true},
		"another":          {"class/dmi/id/sys_vendor", "QEMU\n", false},
		"one of no maker":  {"class/dmi/id/sys_vendor", "\n", false},
		"a number in it":   {"class/dmi/id/product_uuid", "00000000-0000-0000-0000-000000000ec2\n", false},
		"a machine of its": {"class/none", "Amazon EC2", false},
	} {
		sys := t.TempDir()
		path := filepath.Join(sys, tc.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := isEC2(sys); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	t.Setenv(endpointEnv, "http://127.0.0.1:1")
	if !Here() {
		t.Error("a service that is named is not there")
	}
	t.Setenv(DisabledEnv, "true")
	if Here() {
		t.Error("a service that is turned off is there")
	}
}
