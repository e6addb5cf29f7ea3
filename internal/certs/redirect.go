package certs

import (
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// readyPath answers in plain http whatever the certificates do, for whoever asks
// by address whether the instance is up.
const readyPath = "/.well-known/popup/ready"

// Plain is the handler of plain http. It answers the authority's challenge, and
// sends everybody else to https once there is a certificate; until then, and for
// /.well-known/popup/ready always, next answers.
func (c *Certs) Plain(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c.issuer.HandleHTTPChallenge(w, r) {
			return
		}
		domain := c.target(r.Host)
		if domain == "" || r.URL.Path == readyPath {
			next.ServeHTTP(w, r)
			return
		}
		// Not a permanent redirect: browsers keep these, and the name may serve
		// something without https when this instance is over.
		w.Header().Set("Cache-Control", "no-store")
		to := url.URL{Scheme: "https", Host: c.host(domain), Path: r.URL.Path, RawPath: r.URL.RawPath, RawQuery: r.URL.RawQuery}
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
	})
}

// target is the name to which a request for host is sent, empty when it stays:
// one of ours leads to itself, and another (the bare address) to our first.
func (c *Certs) target(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, domain := range c.opts.Domains {
		if domain == host {
			if c.Covers(domain) {
				return domain
			}
			return ""
		}
	}
	if first := c.opts.Domains[0]; c.Covers(first) {
		return first
	}
	return ""
}

// host adds the port that a browser would not guess.
func (c *Certs) host(domain string) string {
	if c.opts.HTTPSPort == 443 {
		return domain
	}
	return net.JoinHostPort(domain, strconv.Itoa(c.opts.HTTPSPort))
}
