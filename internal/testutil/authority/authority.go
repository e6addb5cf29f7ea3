// Package authority runs a real ACME authority in a test: pebble, which looks for
// every name on this machine and validates what it finds there over http.
package authority

import (
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/letsencrypt/pebble/v2/ca"
	"github.com/letsencrypt/pebble/v2/db"
	"github.com/letsencrypt/pebble/v2/va"
	"github.com/letsencrypt/pebble/v2/wfe"
	"github.com/miekg/dns"
)

// An Authority answers on a port of 127.0.0.1 until its test is over.
type Authority struct {
	Directory string         // the URL that ACME begins with
	Roots     *x509.CertPool // vouches for its own server
	PEM       []byte         // the same, for SSL_CERT_FILE
	Issued    *x509.CertPool // vouches for what it issues

	mu       sync.Mutex
	down     bool
	requests []string // paths
}

// Options say how an authority behaves.
type Options struct {
	Port     int  // where it asks a name for proof, on 127.0.0.1
	Validity uint // seconds that what it issues is valid; 0: 90 days
}

// New starts one.
func New(t *testing.T, o Options) *Authority {
	t.Helper()
	t.Setenv("PEBBLE_VA_NOSLEEP", "1")      // it asks at once
	t.Setenv("PEBBLE_WFE_NONCEREJECT", "0") // and refuses nothing good for practice
	quiet, store := log.New(io.Discard, "", 0), db.NewMemoryStore()
	issuer := ca.New(quiet, store, "", "ecdsa", 0, 1, map[string]ca.Profile{"default": {Description: "default", ValidityPeriod: uint64(o.Validity)}})
	validator := va.New(quiet, o.Port, 1, false, startDNS(t), store)
	frontEnd := wfe.New(quiet, store, validator, issuer, []string{"authority.example"}, false, false, 0, 0)
	handler := frontEnd.Handler()

	a := &Authority{Roots: x509.NewCertPool(), Issued: x509.NewCertPool()}
	a.Issued.AddCert(issuer.GetRootCert(0).Cert)
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !a.admit(r.URL.Path) {
			http.Error(w, "closed for the night", http.StatusServiceUnavailable)
			return
		}
		if r.URL.Path == wfe.DirectoryPath && o.Validity != 0 {
			withoutRenewalInfo(w, r, handler)
			return
		}
		handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	a.Roots.AddCert(server.Certificate())
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	a.Directory = server.URL + wfe.DirectoryPath
	return a
}

// withoutRenewalInfo answers a directory that does not offer to say when a
// certificate is best renewed: pebble says a time by chance, up to a day off, which
// for one that holds seconds is half the time at once.
func withoutRenewalInfo(w http.ResponseWriter, r *http.Request, handler http.Handler) {
	recorder := httptest.NewRecorder()
	handler.ServeHTTP(recorder, r)
	var directory map[string]any
	if err := json.Unmarshal(recorder.Body.Bytes(), &directory); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	delete(directory, "renewalInfo")
	maps.Copy(w.Header(), recorder.Header())
	w.Header().Del("Content-Length")
	_ = json.NewEncoder(w).Encode(directory) // who asked asks again, or fails and says so
}

func (a *Authority) admit(path string) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.requests = append(a.requests, path)
	return !a.down
}

// SetDown makes it answer 503 to everything, or no longer.
func (a *Authority) SetDown(down bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.down = down
}

// Requests counts the requests so far whose path holds part.
func (a *Authority) Requests(part string) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, path := range a.requests {
		if strings.Contains(path, part) {
			n++
		}
	}
	return n
}

// startDNS starts a name server that says 127.0.0.1 to everything.
func startDNS(t *testing.T) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &dns.Server{Listener: listener, Handler: dns.HandlerFunc(answer)}
	done := make(chan error, 1)
	go func() { done <- server.ActivateAndServe() }()
	t.Cleanup(func() {
		_ = listener.Close() // what was to be said went through it already
		<-done
	})
	return listener.Addr().String()
}

func answer(w dns.ResponseWriter, question *dns.Msg) {
	message := new(dns.Msg).SetReply(question)
	if q := question.Question[0]; q.Qtype == dns.TypeA {
		message.Answer = []dns.RR{&dns.A{
			Hdr: dns.RR_Header{Name: q.Name, Rrtype: dns.TypeA, Class: dns.ClassINET}, A: net.IPv4(127, 0, 0, 1),
		}}
	}
	_ = w.WriteMsg(message) // who asked asks again, or fails and says so
}
