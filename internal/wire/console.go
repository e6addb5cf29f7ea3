package wire

import (
	"crypto/sha256"
	"crypto/subtle"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// A Console is where the instance enrols and reports.
type Console struct {
	URL string `yaml:"url" json:"url"` // https, or http on this machine; what is asked is below it
	// Token lets one key enrol, once. The instance forgets it afterwards.
	Token string `yaml:"token,omitempty" json:"token,omitempty"`
	// Pin is the SHA-256 of the key (SPKI) of a console with a certificate of its own,
	// as base64. Then nothing else of the certificate counts. Empty: public authorities do.
	Pin string `yaml:"pin,omitempty" json:"pin,omitempty"`
	// Identity is the kind of proof that the console wants of what machine this is:
	// IdentityEC2, or empty for none.
	Identity string `yaml:"identity,omitempty" json:"identity,omitempty"`
}

// Where a console answers, below its URL. These are also what signatures are over.
const (
	PathEnrol  = "/api/v1/enrol"
	PathReport = "/api/v1/report"
	PathLogs   = "/api/v1/logs/" // and the id of the command that asked for them
)

var tokenForm = regexp.MustCompile(`^[A-Za-z0-9_-]{16,256}$`)

// Check says what is wrong with c: the error joins all of it, and repeats neither a
// password nor the token.
func (c Console) Check() error {
	errs := []error{checkConsoleURL(c.URL)}
	if c.Token != "" && !tokenForm.MatchString(c.Token) {
		errs = append(errs, errors.New("console.token is not one of a console's; copy all of it: 16 to 256 letters, digits, - and _"))
	}
	if _, err := c.pinned(); err != nil {
		errs = append(errs, err)
	}
	if c.Identity != "" && c.Identity != IdentityEC2 {
		errs = append(errs, fmt.Errorf("console.identity is %.40q, a proof that this popup cannot bring; it knows %q, or leave it out", c.Identity, IdentityEC2))
	}
	return errors.Join(errs...)
}

func checkConsoleURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https":
		return errors.New("console.url is no web address; write it like https://console.example.org")
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return errors.New("console.url has a password, a query or a # in it; write the address alone, an instance is known by its key")
	case u.Scheme == "http" && !isLoopback(u.Hostname()):
		return fmt.Errorf("console.url %s is not https; what a console says could be changed on its way", u)
	}
	return nil
}

// At is the address of a path of the console's.
func (c Console) At(path string) string { return strings.TrimRight(c.URL, "/") + path }

// pinned is the hash that Pin holds; nil: none.
func (c Console) pinned() ([]byte, error) {
	if c.Pin == "" {
		return nil, nil
	}
	pin, err := base64.StdEncoding.DecodeString(c.Pin)
	if err != nil || len(pin) != sha256.Size {
		return nil, errors.New("console.pin is not the SHA-256 of a key as base64; copy all 44 characters of it")
	}
	return pin, nil
}

// PinOf is the Pin of a console that has cert.
func PinOf(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// CheckPin says whether cert has the key that is pinned.
func (c Console) CheckPin(cert *x509.Certificate) error {
	want, err := c.pinned()
	if err != nil {
		return err
	}
	got := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	if subtle.ConstantTimeCompare(want, got[:]) != 1 {
		return errors.New("its certificate has another key than console.pin; either somebody else answers there, or it was given a new one")
	}
	return nil
}
