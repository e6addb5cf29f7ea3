package web

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"popup/internal/atomicfile"
	"popup/internal/certs"
	"popup/internal/wire"
)

// ListenOptions say where the console answers, and how browsers and instances know
// that it is the console. By plain http it is answered on this machine alone: off it
// there is a certificate, of Domains, of CertFile, or one of its own.
type ListenOptions struct {
	Addr string // HOST:PORT; port 0 takes a free one
	// URL is at which browsers and instances reach it; empty: what follows from the rest.
	URL string
	// Domains get certificates from an ACME authority, which asks at PlainAddr.
	Domains   []string
	Email     string // told to the authority; empty: none
	Directory string // of the authority; empty: Let's Encrypt
	PlainAddr string // where http redirects to https; empty: :80. Only with Domains
	// CertFile and KeyFile are PEM files, read once.
	CertFile, KeyFile string
	Dir               string       // where keys and certificates are kept, 0700
	Log               *slog.Logger // nil: nothing is logged
}

// KnownURL is at which browsers and instances reach the console, where that is said; else
// empty.
func (o ListenOptions) KnownURL() string {
	if o.URL == "" && len(o.Domains) > 0 {
		return "https://" + o.Domains[0]
	}
	return o.URL
}

// A Listening is where the console answers.
type Listening struct {
	net.Listener        // of TLS, where there is any
	URL          string // without a / at its end
	Host         string // the IP address of this machine that it answers on, one of them where it is all
	Pin          string // of the certificate, where it is the console's own; else empty
	closers      []func() error
}

// Close stops listening.
func (l *Listening) Close() error {
	err := l.Listener.Close()
	if errors.Is(err, net.ErrClosed) {
		err = nil // a server closed it
	}
	for _, closer := range l.closers {
		err = errors.Join(err, closer())
	}
	return err
}

// Listen opens the address. Certificates for Domains are fetched meanwhile: until there
// is one, nobody is answered. ctx ends that.
func Listen(ctx context.Context, o ListenOptions) (_ *Listening, err error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", o.Addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w; give another address with --listen", o.Addr, err)
	}
	at := listener.Addr().(*net.TCPAddr)
	l := &Listening{Listener: listener, Host: at.IP.String()}
	if at.IP.IsUnspecified() {
		l.Host = firstAddress("127.0.0.1")
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Close())
		}
	}()
	scheme, host := "https", l.Host
	var config *tls.Config
	switch {
	case len(o.Domains) > 0:
		host = o.Domains[0]
		config, err = o.certified(ctx, l, at.Port)
	case o.CertFile != "":
		config, host, err = o.given(host)
	case at.IP.IsLoopback():
		scheme = "http"
	default:
		config, l.Pin, err = o.own(o.ownNames(at))
	}
	if err != nil {
		return nil, err
	}
	if config != nil {
		l.Listener = tls.NewListener(listener, config)
	}
	l.URL = o.URL
	if l.URL == "" {
		l.URL = scheme + "://" + hostPort(host, at.Port, scheme)
	}
	return l, nil
}

// ListenGuests answers machines that have a way of their own to this console: what comes
// to listener, which is the Listening's from now on, asks for url. Its certificate is the
// console's own, of the key in dir.
func ListenGuests(listener net.Listener, url, dir string) (*Listening, error) {
	config, pin, err := ListenOptions{Dir: dir}.own(nil, nil) // who has the pin asks for no name
	if err != nil {
		return nil, err
	}
	return &Listening{Listener: tls.NewListener(listener, config), URL: url, Pin: pin}, nil
}

// hostPort leaves out the port that a scheme has anyway.
func hostPort(host string, port int, scheme string) string {
	if scheme == "https" && port == 443 || scheme == "http" && port == 80 {
		if ip := net.ParseIP(host); ip != nil && ip.To4() == nil {
			return "[" + host + "]"
		}
		return host
	}
	return net.JoinHostPort(host, strconv.Itoa(port))
}

// check says what is wrong with what was given, all at once.
func (o *ListenOptions) check() error {
	var errs []error
	if (o.CertFile == "") != (o.KeyFile == "") {
		errs = append(errs, errors.New("a certificate needs its key, and a key its certificate; give both --cert and --key"))
	}
	if o.CertFile != "" && len(o.Domains) > 0 {
		errs = append(errs, errors.New("--cert brings a certificate and --domain fetches one; give one of them"))
	}
	for i, given := range o.Domains {
		domain, err := wire.ParseDomain(given)
		if err != nil {
			errs = append(errs, fmt.Errorf("--domain: %w", err))
		}
		o.Domains[i] = domain
	}
	if o.URL != "" {
		if u, err := url.Parse(o.URL); err != nil || u.Host == "" || u.Path != "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" ||
			u.Scheme != "https" && u.Scheme != "http" {
			errs = append(errs, errors.New("--url is no address of a server; write it like https://console.example.org, without a path"))
		}
	}
	return errors.Join(errs...)
}

// certified fetches certificates for the domains. The authority asks where plain http
// is answered, with nothing but that and a redirect: nobody signs in there.
func (o ListenOptions) certified(ctx context.Context, l *Listening, port int) (*tls.Config, error) {
	addr := o.PlainAddr
	if addr == "" {
		addr = ":80"
	}
	plain, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen on %s, where a certificate authority asks for --domain: %w", addr, err)
	}
	kept, err := certs.New(certs.Options{Domains: o.Domains, Email: o.Email, Dir: filepath.Join(o.Dir, "acme"), Directory: o.Directory,
		HTTP: plain.Addr().(*net.TCPAddr), HTTPSPort: port, Logger: o.Log})
	if err != nil {
		return nil, errors.Join(err, plain.Close())
	}
	waiting := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "10")
		http.Error(w, "this console is still fetching its certificate; try again in a moment", http.StatusServiceUnavailable)
	})
	server := &http.Server{Handler: kept.Plain(waiting), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug)}
	served := make(chan struct{})
	go func() {
		defer close(served)
		if err := server.Serve(plain); !errors.Is(err, http.ErrServerClosed) {
			o.Log.Error("plain http ended; certificates can no longer be renewed", "err", err)
		}
	}()
	kept.Manage(ctx)
	l.closers = append(l.closers, func() error {
		err := server.Close()
		<-served
		kept.Close()
		return err
	})
	return kept.TLSConfig(), nil
}

// given reads a certificate and its key.
func (o ListenOptions) given(host string) (*tls.Config, string, error) {
	pair, err := tls.LoadX509KeyPair(o.CertFile, o.KeyFile)
	if err != nil {
		return nil, "", fmt.Errorf("read --cert %s and --key %s: %w", o.CertFile, o.KeyFile, err)
	}
	if len(pair.Leaf.DNSNames) > 0 {
		host = pair.Leaf.DNSNames[0]
	}
	return serverConfig(pair), host, nil
}

func serverConfig(pair tls.Certificate) *tls.Config {
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}
}

// own is a certificate that nobody vouches for but the pin in user-data. Its key is kept:
// a new one would shut out every instance that is running.
func (o ListenOptions) own(names []string, ips []net.IP) (*tls.Config, string, error) {
	key, err := o.ownKey()
	if err != nil {
		return nil, "", fmt.Errorf("make a certificate of its own: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.UnixNano()), Subject: pkix.Name{CommonName: "popup console"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.AddDate(10, 0, 0),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	template.DNSNames, template.IPAddresses = names, ips
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, "", fmt.Errorf("make a certificate of its own: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, "", fmt.Errorf("make a certificate of its own: %w", err)
	}
	return serverConfig(tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}), wire.PinOf(leaf), nil
}

// ownNames are those by which browsers may know this machine.
func (o ListenOptions) ownNames(at *net.TCPAddr) (names []string, ips []net.IP) {
	names = []string{"localhost"}
	if host, err := os.Hostname(); err == nil {
		names = append(names, host)
	}
	if u, err := url.Parse(o.URL); err == nil && u.Hostname() != "" && net.ParseIP(u.Hostname()) == nil {
		names = append(names, u.Hostname())
	}
	if !at.IP.IsUnspecified() {
		return names, []net.IP{at.IP}
	}
	return names, addresses()
}

// addresses are this machine's own.
func addresses() (ips []net.IP) {
	all, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && !n.IP.IsLinkLocalUnicast() {
			ips = append(ips, n.IP)
		}
	}
	return ips
}

// firstAddress is one at which other machines may reach this one.
func firstAddress(otherwise string) string {
	for _, ip := range addresses() {
		if !ip.IsLoopback() {
			return ip.String()
		}
	}
	return otherwise
}

// ownKey reads the key of the console's own certificate, or makes it.
func (o ListenOptions) ownKey() (*ecdsa.PrivateKey, error) {
	path := filepath.Join(o.Dir, "own.key")
	text, err := os.ReadFile(path)
	if err == nil {
		block, _ := pem.Decode(text)
		if block == nil {
			return nil, fmt.Errorf("%s holds no key; move it away, and instances that run must be launched again", path)
		}
		key, err := x509.ParseECPrivateKey(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", path, err)
		}
		return key, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, err
	}
	return key, atomicfile.Write(path, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der}), 0o600)
}
