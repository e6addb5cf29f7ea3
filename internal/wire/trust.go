package wire

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"

	"popup/internal/signature"
)

// Verify says whose commits are published.
type Verify struct {
	// AllowedSigners is a text of OpenSSH's allowed_signers, in which armored OpenPGP
	// public keys may stand as well. The newest commit must be signed by one of them.
	AllowedSigners string `yaml:"allowed_signers" json:"allowed_signers"`
}

// What is done with a branch that was moved back, or begun anew.
const (
	RewindAllow  = "allow"  // it is published, the default
	RewindRefuse = "refuse" // what is served stays
)

// CheckTrust says what is wrong with whom the source trusts: the error joins all of it.
func (s Source) CheckTrust() error {
	var wrong []error
	if s.Verify != nil {
		if _, err := signature.ParseAllowed(s.Verify.AllowedSigners); err != nil {
			wrong = append(wrong, fmt.Errorf("verify.allowed_signers: %w", err))
		}
	}
	if s.Rewind != "" && s.Rewind != RewindAllow && s.Rewind != RewindRefuse {
		wrong = append(wrong, fmt.Errorf("rewind is %s, and must be %s or %s", strconv.Quote(s.Rewind), RewindAllow, RewindRefuse))
	}
	if err := checkRelay(s.Relay); err != nil {
		wrong = append(wrong, err)
	}
	return errors.Join(wrong...)
}

// checkRelay does not repeat an address, which may hold a password.
func checkRelay(relay string) error {
	if relay == "" {
		return nil
	}
	u, err := url.Parse(relay)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return errors.New("relay is no web address; write it like https://relay.example.org/notices")
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return errors.New("relay has a password, a query or a # in it; write the address alone, it needs none of them")
	}
	return nil
}
