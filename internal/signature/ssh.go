package signature

import (
	"bytes"
	"crypto/rsa"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"
)

// namespace is what git signs commits for. A signature for anything else, as of a
// file or of a login, is none of a commit.
const namespace = "git"

// minRSABits is the shortest RSA key that is believed.
const minRSABits = 2048

// An sshSigner is one line of allowed_signers.
type sshSigner struct {
	principals string
	key        ssh.PublicKey
	namespaces string    // a list of patterns; empty: any
	after      time.Time // zero: from the beginning
	before     time.Time // zero: for ever
}

func (a Allowed) verifySSH(c signed, armored []byte) (string, error) {
	sig, err := sshsig.Unarmor(armored)
	if err != nil {
		return "", fmt.Errorf("its SSH signature cannot be read: %w", err)
	}
	if sig.Namespace != namespace {
		return "", fmt.Errorf("its signature is for %q and not for %q; sign it with git commit -S", sig.Namespace, namespace)
	}
	if err := checkSSHKey(sig.PublicKey); err != nil {
		return "", err
	}
	found := stranger(ssh.FingerprintSHA256(sig.PublicKey))
	for _, s := range a.ssh {
		if !bytes.Equal(s.key.Marshal(), sig.PublicKey.Marshal()) {
			continue
		}
		if err := sshsig.Verify(bytes.NewReader(c.payload), sig, s.key, sig.HashAlgorithm, namespace); err != nil {
			return "", mismatch(s.principals)
		}
		if found = s.mayAt(c.committed); found == nil {
			return s.principals, nil
		}
	}
	return "", found
}

// checkSSHKey refuses what no longer proves anything. SHA-1 is refused where
// signatures are read.
func checkSSHKey(key ssh.PublicKey) error {
	if key.Type() == "ssh-dss" {
		return errors.New("a DSA key is too weak to prove anything; use an ed25519 key")
	}
	if wrapped, ok := key.(ssh.CryptoPublicKey); ok {
		if k, ok := wrapped.CryptoPublicKey().(*rsa.PublicKey); ok && k.N.BitLen() < minRSABits {
			return fmt.Errorf("an RSA key of %d bits is too weak to prove anything; use an ed25519 key", k.N.BitLen())
		}
	}
	return nil
}

// mayAt says why the signer may not sign a commit of that time; nil: it may. The
// commit's own time counts, as it does for git: a key that was replaced goes on
// being good for what it signed. Whoever lost a key takes it off the list.
func (s sshSigner) mayAt(t time.Time) error {
	const day = "2006-01-02 15:04 MST"
	switch {
	case s.namespaces != "" && !matches(s.namespaces, namespace):
		return fmt.Errorf("it is signed by %s, whose key is allowed for %s and not for %s", s.principals, s.namespaces, namespace)
	case !s.after.IsZero() && t.Before(s.after):
		return fmt.Errorf("it is of %s and signed by %s, whose key counts only from %s", t.UTC().Format(day), s.principals, s.after.Format(day))
	case !s.before.IsZero() && t.After(s.before):
		return fmt.Errorf("it is of %s and signed by %s, whose key counted only until %s", t.UTC().Format(day), s.principals, s.before.Format(day))
	}
	return nil
}

// matches is OpenSSH's list of patterns: one must match, and none that begins with
// an exclamation mark.
func matches(patterns, name string) bool {
	found := false
	for pattern := range strings.SplitSeq(patterns, ",") {
		pattern, not := strings.CutPrefix(strings.TrimSpace(pattern), "!")
		pattern = strings.NewReplacer(`\`, `\\`, `[`, `\[`).Replace(pattern) // to path.Match they mean something
		if ok, err := path.Match(pattern, name); err != nil || !ok {
			continue
		}
		if not {
			return false
		}
		found = true
	}
	return found
}
