package wire

import (
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/idna"
)

// maxDomains bounds the domains of one instance: each is a certificate of its own,
// and authorities count how many somebody asks for.
const maxDomains = 20

// Check tells everything that keeps an instance from being reached as s says, in
// sentences for whoever wrote it.
func (s Serve) Check() error {
	errs := []error{checkListen("listen", s.Listen), checkListen("listen_tls", s.ListenTLS), checkListen("metrics", s.Metrics)}
	if len(s.Domains) == 0 {
		if s.Email+s.ListenTLS+s.ACMEDirectory != "" {
			errs = append(errs, errors.New("email, listen_tls and acme_directory are for certificates, and no domain is given to fetch one for; give a domain too, or leave them out"))
		}
		return errors.Join(errs...)
	}
	if len(s.Domains) > maxDomains {
		errs = append(errs, fmt.Errorf("%d domains are given; one instance answers to at most %d", len(s.Domains), maxDomains))
	}
	for i, given := range s.Domains {
		domain, err := ParseDomain(given)
		switch {
		case err != nil:
			errs = append(errs, err)
		case slices.ContainsFunc(s.Domains[:i], func(d string) bool { return strings.EqualFold(d, given) }):
			errs = append(errs, fmt.Errorf("domain %s is given twice", domain))
		case s.ACMEDirectory == "" && isPrivate(domain):
			errs = append(errs, fmt.Errorf("domain %s is a private name, which no public authority certifies; give a public one, or the acme_directory of your own authority", domain))
		}
	}
	return errors.Join(append(errs, checkEmail(s.Email), checkDirectory(s.ACMEDirectory))...)
}

// checkListen refuses what no listener can be opened on, so that a machine is not
// started over and over to find that out.
func checkListen(field, address string) error {
	if address == "" {
		return nil
	}
	host, port, err := net.SplitHostPort(address)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || !isHost(host) {
		return fmt.Errorf("%s %q is not an address to listen on; write HOST:PORT like 127.0.0.1:8080, or :8080 for every address of the machine", field, address)
	}
	return nil
}

// isHost takes nothing at all, an IP address, or a name as hosts have it.
func isHost(host string) bool {
	if _, err := netip.ParseAddr(host); host == "" || err == nil {
		return true
	}
	name, err := strictDomain.ToASCII(host)
	return err == nil && len(name) <= 253
}

// maxWritten bounds a domain as it is written, in bytes: in another script it is
// longer than the 253 that DNS takes.
const maxWritten = 1000

// ParseDomain reads a domain that a certificate is to be fetched for, as a person
// wrote it, and returns it in lower case and ASCII (an umlaut becomes xn--). The
// error is a sentence that says what to write instead.
func ParseDomain(given string) (string, error) {
	name := strings.TrimSuffix(given, ".")
	switch {
	case name == "":
		return "", errors.New("a domain is empty; write one like fair.example.org")
	case len(given) > maxWritten:
		return "", fmt.Errorf("a domain of %d bytes is not a domain name; write one like fair.example.org", len(given))
	case strings.Contains(name, "/"):
		return "", fmt.Errorf("domain %q is an address; write the name alone, like fair.example.org", given)
	case strings.HasPrefix(name, "*"):
		return "", fmt.Errorf("domain %q: popup proves a name by answering on it, and nobody can answer on all of them; give each name", given)
	case isAddress(name):
		return "", fmt.Errorf("domain %q is an IP address; give a name that leads to it", given)
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("domain %q has a port; write the name alone, and give ports with listen", given)
	}
	domain, err := strictDomain.ToASCII(name)
	if err == nil { // what was mapped must be a name itself
		_, err = strictDomain.ToASCII(domain)
	}
	top := domain[strings.LastIndexByte(domain, '.')+1:]
	if err != nil || len(domain) > 253 || strings.Trim(top, "0123456789") == "" { // no name ends in a number; addresses do
		return "", fmt.Errorf("domain %q is not a domain name; write letters, digits, hyphens and dots, like fair.example.org", given)
	}
	if !strings.Contains(domain, ".") {
		return "", fmt.Errorf("domain %s has no dot; write the whole name, like %s.example.org", domain, domain)
	}
	return domain, nil
}

// strictDomain reads what a person wrote as a browser does, and no more than DNS takes.
var strictDomain = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.StrictDomainName(true), idna.VerifyDNSLength(true), idna.Transitional(false))

func isAddress(name string) bool {
	_, err := netip.ParseAddr(strings.Trim(name, "[]"))
	return err == nil
}

// isPrivate tells a name that means something else, or nothing, elsewhere.
func isPrivate(domain string) bool {
	return slices.ContainsFunc([]string{"localhost", "local", "internal", "home.arpa", "test", "invalid", "onion"}, func(zone string) bool {
		return domain == zone || strings.HasSuffix(domain, "."+zone)
	})
}

func checkEmail(email string) error {
	if email == "" {
		return nil
	}
	if parsed, err := mail.ParseAddress(email); err != nil || parsed.Address != email {
		return fmt.Errorf("email %q is not an address; write one like fair@example.org, or none", email)
	}
	return nil
}

// checkDirectory wants a way to the authority that nobody on it can change, which
// plain http is to this machine alone.
func checkDirectory(directory string) error {
	if directory == "" {
		return nil
	}
	u, err := url.Parse(directory)
	switch {
	case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "http"):
		return errors.New("acme_directory is not an address; write one like https://ca.example.org/directory")
	case u.User != nil:
		return errors.New("acme_directory holds a password; authorities know an instance by its key, so leave it out")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("acme_directory %s is not https; what it says could be changed on its way", u.Redacted())
	}
	return nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
