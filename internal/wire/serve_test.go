package wire

import (
	"fmt"
	"strings"
	"testing"
)

func TestCheckServe(t *testing.T) {
	many := make([]string, maxDomains+1)
	for i := range many {
		many[i] = fmt.Sprintf("d%d.example.org", i)
	}
	for _, c := range []struct {
		name  string
		serve Serve
		want  []string // parts of the error, none for none
	}{
		{"nothing", Serve{}, nil},
		{"http alone", Serve{Listen: ":8080"}, nil},
		{"a domain", Serve{Domains: []string{"fair.example.org"}}, nil},
		{"all of it", Serve{Domains: []string{"fair.example.org", "Bazaar.example.org", "xn--bcher-kva.example"}, Email: "fair@example.org",
			ListenTLS: ":8443", ACMEDirectory: "https://ca.example.org/directory"}, nil},
		{"own authority", Serve{Domains: []string{"fair.internal"}, ACMEDirectory: "http://127.0.0.1:14000/dir"}, nil},
		{"email alone", Serve{Email: "fair@example.org"}, []string{"no domain is given"}},
		{"twice", Serve{Domains: []string{"fair.example.org", "FAIR.example.org"}}, []string{"domain fair.example.org is given twice"}},
		{"private", Serve{Domains: []string{"fair.local"}}, []string{"domain fair.local is a private name"}},
		{"many", Serve{Domains: many}, []string{"21 domains are given; one instance answers to at most 20"}},
		{"everything wrong", Serve{Domains: []string{"", "http://fair.example.org"}, Email: "Fair <fair@example.org>", ACMEDirectory: "ca"},
			[]string{"a domain is empty", "is an address; write the name alone", "email \"Fair <fair@example.org>\"", "acme_directory is not an address"}},
		{"password", Serve{Domains: []string{"fair.example.org"}, ACMEDirectory: "https://me:hush@ca.example.org/"}, []string{"acme_directory holds a password"}},
		{"listening anywhere", Serve{Listen: "localhost:0"}, nil},
		{"listening on IPv6", Serve{Listen: "[::1]:8080"}, nil},
		{"listening on a word", Serve{Listen: "abc"}, []string{`listen "abc" is not an address to listen on; write HOST:PORT`}},
		{"listening on a number", Serve{Listen: "8080"}, []string{`listen "8080"`}},
		{"listening without a port", Serve{Listen: "127.0.0.1:"}, []string{`listen "127.0.0.1:"`}},
		{"listening too high", Serve{Listen: ":65536"}, []string{`listen ":65536"`}},
		{"listening on an address", Serve{Listen: "http://a.org:80"}, []string{`listen "http://a.org:80"`}},
		{"listening on a space", Serve{Listen: "a b:80"}, []string{`listen "a b:80"`}},
		{"metrics on a word", Serve{Metrics: "x"}, []string{`metrics "x" is not an address to listen on`}},
		{"metrics on a port", Serve{Metrics: "127.0.0.1:9100"}, nil},
		{"https on a word", Serve{Domains: []string{"fair.example.org"}, ListenTLS: "x"}, []string{`listen_tls "x"`}},
		{"in the open", Serve{Domains: []string{"fair.example.org"}, ACMEDirectory: "http://ca.example.org/"}, []string{"is not https"}},
	} {
		err := c.serve.Check()
		if (err == nil) != (len(c.want) == 0) {
			t.Errorf("%s: %v", c.name, err)
		}
		for _, want := range c.want {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: got %v, want %s", c.name, err, want)
			}
		}
		if err != nil && strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: the error holds the password: %v", c.name, err)
		}
	}
}

func TestParseDomain(t *testing.T) {
	for given, want := range map[string]string{
		"fair.example.org":  "fair.example.org",
		"Fair.Example.ORG.": "fair.example.org",
		"Bücher.example":    "xn--bcher-kva.example",
	} {
		if got, err := ParseDomain(given); err != nil || got != want {
			t.Errorf("ParseDomain(%q) = %q, %v; want %q", given, got, err, want)
		}
	}
	for given, want := range map[string]string{
		"":                                       "is empty",
		".":                                      "is empty",
		"https://fair.org/":                      "is an address",
		"*.example.org":                          "give each name",
		"192.0.2.7":                              "is an IP address",
		"[2001:db8::1]":                          "is an IP address",
		"fair.example.org:443":                   "has a port",
		"fair":                                   "has no dot; write the whole name, like fair.example.org",
		"-fair.example.org":                      "is not a domain name",
		"fair..example.org":                      "is not a domain name",
		"my_fair.example.org":                    "is not a domain name",
		"fair example.org":                       "is not a domain name",
		"fair.example.org\nevil":                 "is not a domain name",
		strings.Repeat("a", 64) + ".example.org": "is not a domain name",
		strings.Repeat("abcdefgh.", 30) + "org":  "is not a domain name",
	} {
		if got, err := ParseDomain(given); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseDomain(%q) = %q, %v; want an error that says %s", given, got, err, want)
		} else if strings.ContainsAny(err.Error(), "\n") {
			t.Errorf("ParseDomain(%q): the error has two lines: %v", given, err)
		}
	}
}

// FuzzParseDomain: what is taken is a plain name, and is taken as itself again.
func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{"fair.example.org", "Bücher.example", "*.a.b", "a_b.c", "1.2.3.4", "xn--a.org", "x..y", "a.org/", "İ.example", "٣.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		domain, err := ParseDomain(given)
		if err != nil {
			return
		}
		if strings.Trim(domain, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || len(domain) > 253 || !strings.Contains(domain, ".") {
			t.Errorf("ParseDomain(%q) = %q", given, domain)
		}
		if again, err := ParseDomain(domain); err != nil || again != domain {
			t.Errorf("ParseDomain(%q) = %q, which is read as %q, %v", given, domain, again, err)
		}
	})
}
