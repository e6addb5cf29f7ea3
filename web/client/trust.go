package client

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"

	"popup/internal/wire"
)

// trusted is whom a client believes to be the console: whoever public authorities vouch
// for or, where there is a pin, whoever has that key.
func trusted(url, pin string) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if pin == "" {
		return config, nil
	}
	if sum, err := base64.StdEncoding.DecodeString(pin); err != nil || len(sum) != sha256.Size {
		return nil, errors.New("that pin is not the SHA-256 of a key as base64; copy all 44 characters of it")
	}
	config.InsecureSkipVerify = true // VerifyConnection does it, resumed or not
	config.VerifyConnection = func(s tls.ConnectionState) error {
		if (wire.Console{URL: url, Pin: pin}).CheckPin(s.PeerCertificates[0]) != nil {
			return errPin
		}
		return nil
	}
	return config, nil
}

var errPin = errors.New("its certificate has another key than the pin says; either somebody else answers there, or it was given a new one")

// untrusted says what to try where nobody vouches for a certificate; nil: it is not about that.
func untrusted(err error) error {
	var (
		seen    *tls.CertificateVerificationError
		unknown x509.UnknownAuthorityError
	)
	if !errors.As(err, &seen) || !errors.As(err, &unknown) || len(seen.UnverifiedCertificates) == 0 {
		return nil
	}
	pin := wire.PinOf(seen.UnverifiedCertificates[0])
	return fmt.Errorf("no authority vouches for its certificate, whose pin is %s; if that is what the console's Settings page says, give it with --pin", pin)
}
