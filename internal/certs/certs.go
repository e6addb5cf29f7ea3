// Package certs gets the certificates of an instance from an ACME authority, by
// answering the authority's HTTP challenge where the instance answers plain http,
// and keeps them fresh.
//
// Nothing waits for a certificate. Until a name has one it is answered in plain
// http; from then on plain http redirects to https. Where the authority is down or
// the name leads elsewhere, the app is served without https, the reason is told in
// a sentence, and it is tried again.
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"
)

// Options are what certificates are fetched with.
type Options struct {
	Domains   []string       // as wire.ParseDomain returns them; the first is what other names are redirected to
	Email     string         // told to the authority; empty: none
	Dir       string         // where keys and certificates are kept, made 0700; no other process may use it
	Directory string         // URL of the authority's ACME directory; empty: Let's Encrypt
	Roots     *x509.CertPool // vouch for the authority's own server; nil: the system's
	HTTP      *net.TCPAddr   // where Plain's handler answers: port 80, or what port 80 leads to
	HTTPSPort int            // the port of https, for redirects; 0: 443
	Logger    *slog.Logger   // nil: silent
}

// Certs are the certificates of an instance. All methods may be called from
// several goroutines at once.
type Certs struct {
	opts   Options
	log    *slog.Logger
	cache  *certmagic.Cache
	config *certmagic.Config
	issuer *certmagic.ACMEIssuer

	cancel context.CancelFunc // ends what Manage started; nil before
	jobs   sync.WaitGroup

	mu       sync.Mutex
	problems map[string]string // by domain, why it has no fresh certificate
}

// New reads nothing and asks nobody yet: Manage does. The caller closes what it returns.
func New(o Options) (*Certs, error) {
	if len(o.Domains) == 0 {
		return nil, errors.New("no domain is given to fetch a certificate for")
	}
	if o.HTTP == nil {
		return nil, errors.New("fetch certificates: no plain http is answered, and the authority asks there")
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create folder of certificates: %w", err)
	}
	if err := os.Chmod(o.Dir, 0o700); err != nil { // it may have been there
		return nil, fmt.Errorf("close folder of certificates: %w", err)
	}
	if o.Directory == "" {
		o.Directory = certmagic.LetsEncryptProductionCA
	}
	if o.HTTPSPort == 0 {
		o.HTTPSPort = 443
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Certs{opts: o, log: o.Logger, problems: map[string]string{}}
	c.configure(zap.New(zapCore{handler: o.Logger.Handler()}))
	return c, nil
}

// configure makes what certmagic needs, from our options and none of its globals.
func (c *Certs) configure(log *zap.Logger) {
	c.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return c.config, nil },
		Logger:           log,
	})
	c.config = certmagic.New(c.cache, certmagic.Config{
		Storage:           &certmagic.FileStorage{Path: c.opts.Dir},
		DefaultServerName: c.opts.Domains[0], // for clients that name none
		OnEvent:           c.onEvent,
		ShouldEmitFunc:    func(event string) bool { return event == eventFailed || event == eventObtained },
		Logger:            log,
	})
	// certmagic opens the challenge's address itself unless somebody answers there
	// already. Somebody does: told where, it leaves that alone.
	host := c.opts.HTTP.IP.String()
	if c.opts.HTTP.IP == nil || c.opts.HTTP.IP.IsUnspecified() {
		host = ""
	}
	c.issuer = certmagic.NewACMEIssuer(c.config, certmagic.ACMEIssuer{
		CA:                      c.opts.Directory,
		Email:                   c.opts.Email,
		Agreed:                  true, // whoever gives a domain to popup wants a certificate for it; the docs say so
		TrustedRoots:            c.opts.Roots,
		DisableTLSALPNChallenge: true, // plain http is always there, and one way is one thing to explain
		ListenHost:              host,
		AltHTTPPort:             c.opts.HTTP.Port,
		Logger:                  log,
	})
	c.config.Issuers = []certmagic.Issuer{c.issuer}
}

// TLSConfig answers handshakes for HTTP/2 and HTTP/1.1 with the certificates there
// are. A name without one is refused.
func (c *Certs) TLSConfig() *tls.Config {
	return &tls.Config{
		GetCertificate: c.config.GetCertificate,
		NextProtos:     []string{"h2", "http/1.1"},
		MinVersion:     tls.VersionTLS12,
	}
}

// Covers tells whether https can be answered for a name now.
func (c *Certs) Covers(name string) bool {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	return slices.Contains(c.opts.Domains, name) &&
		slices.ContainsFunc(c.cache.AllMatchingCertificates(name), func(cert certmagic.Certificate) bool { return !cert.Expired() })
}

// Close ends what Manage started and waits for it. Handshakes must have ended.
func (c *Certs) Close() {
	if c.cancel != nil {
		c.cancel()
	}
	c.jobs.Wait()
	c.cache.Stop()
}
