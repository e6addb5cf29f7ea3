// Package signature tells whether a commit was signed by somebody who is allowed
// to: with SSH keys, listed as OpenSSH's allowed_signers are, or with OpenPGP keys.
// It says what `git verify-commit` says, but for two things: a key that is not
// listed is never good, and weak algorithms are not either.
package signature

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

// ErrClock is in the error of a signature that this machine's clock does not
// believe yet: it may be good later, or once the clock is right.
var ErrClock = errors.New("check this machine's clock")

var errNotSigned = errors.New("it is not signed; sign commits with git commit -S and a key that is among the allowed signers")

const (
	sshStart     = "-----BEGIN SSH SIGNATURE-----"
	openPGPStart = "-----BEGIN PGP SIGNATURE-----"
	x509Start    = "-----BEGIN SIGNED MESSAGE-----"
)

// Verify checks the signature of a commit, a raw object as git keeps it, and
// returns who signed it: the principals of an SSH key, or the user of an OpenPGP
// key. That the bytes are those of the commit's id is the caller's to check.
func Verify(commit []byte, allowed Allowed) (signer string, err error) {
	return verifyAt(commit, allowed, time.Now())
}

func verifyAt(commit []byte, allowed Allowed, now time.Time) (string, error) {
	c, err := split(commit)
	if err != nil {
		return "", err
	}
	text := bytes.TrimLeft(c.signature, " \t\n")
	switch {
	case len(text) == 0:
		return "", errNotSigned
	case bytes.HasPrefix(text, []byte(sshStart)):
		return allowed.verifySSH(c, text)
	case bytes.HasPrefix(text, []byte(openPGPStart)):
		return allowed.verifyOpenPGP(c, text, now)
	case bytes.HasPrefix(text, []byte(x509Start)):
		return "", errors.New("it is signed with an X.509 certificate, which is not read; sign with an SSH or an OpenPGP key")
	}
	return "", errors.New("its signature is neither SSH's nor OpenPGP's; sign with git commit -S")
}

// stranger is the error for a signature of a key that is not listed.
func stranger(key string) error {
	return fmt.Errorf("it is signed by the key %s, which is not among the allowed signers; if that is right, add the key to them", key)
}

// mismatch is the error for a signature that is of something else.
func mismatch(signer string) error {
	return fmt.Errorf("its signature, by the key of %s, does not match: it was changed after it was signed, or the signature is of another commit", signer)
}
