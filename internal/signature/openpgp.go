package signature

import (
	"bytes"
	"crypto"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp/armor"
	pgperrors "github.com/ProtonMail/go-crypto/openpgp/errors"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
)

// strongHashes are those that a signature may be made over.
var strongHashes = []crypto.Hash{crypto.SHA256, crypto.SHA384, crypto.SHA512, crypto.SHA3_256, crypto.SHA3_512}

func (a Allowed) verifyOpenPGP(c signed, armored []byte, now time.Time) (string, error) {
	sig, binary, err := readOpenPGP(armored)
	if err != nil {
		return "", fmt.Errorf("its OpenPGP signature cannot be read: %w", err)
	}
	if sig.SigType != packet.SigTypeBinary {
		return "", errors.New("its OpenPGP signature is not of a file; sign it with git commit -S")
	}
	if !slices.Contains(strongHashes, sig.Hash) {
		return "", fmt.Errorf("its OpenPGP signature is over %s, which is too weak to prove anything; sign with SHA-256 or better", sig.Hash)
	}
	found := stranger(issuer(sig))
	for _, e := range a.openPGP.EntitiesById(*sig.IssuerKeyId) {
		if found = verifyEntity(c.payload, sig, binary, e, now); found == nil {
			return nameOf(e), nil
		}
	}
	return "", found
}

// readOpenPGP reads an armored signature, and returns it as it is without armor, too.
func readOpenPGP(armored []byte) (*packet.Signature, []byte, error) {
	block, err := armor.Decode(bytes.NewReader(armored))
	if err != nil {
		return nil, nil, err
	}
	binary, err := io.ReadAll(block.Body)
	if err != nil {
		return nil, nil, err
	}
	packets := packet.NewReader(bytes.NewReader(binary))
	p, err := packets.Next()
	if err != nil {
		return nil, nil, err
	}
	sig, ok := p.(*packet.Signature)
	if !ok || sig.IssuerKeyId == nil {
		return nil, nil, errors.New("it names no key")
	}
	if _, err := packets.Next(); err != io.EOF {
		return nil, nil, errors.New("something comes after the signature")
	}
	return sig, binary, nil
}

func issuer(sig *packet.Signature) string {
	if len(sig.IssuerFingerprint) > 0 {
		return strings.ToUpper(hex.EncodeToString(sig.IssuerFingerprint))
	}
	return fmt.Sprintf("%016X", *sig.IssuerKeyId)
}

// verifyEntity checks a signature against one key and its subkeys: first that these
// are good now, and then that they were when it was made, and that it is theirs.
func verifyEntity(payload []byte, sig *packet.Signature, binary []byte, e *openpgp.Entity, now time.Time) error {
	who := nameOf(e)
	if sig.CreationTime.After(now) || e.PrimaryKey.CreationTime.After(now) {
		return fmt.Errorf("it is signed by %s on %s, and here it is %s; %w", who, sig.CreationTime.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime), ErrClock)
	}
	config := &packet.Config{Time: func() time.Time { return now }}
	if err := goodNow(e, *sig.IssuerKeyId, config); err != nil {
		return notGood(who, err)
	}
	_, _, err := openpgp.VerifyDetachedSignature(openpgp.EntityList{e}, bytes.NewReader(payload), bytes.NewReader(binary), config)
	if err == nil {
		return nil
	}
	var weak pgperrors.WeakAlgorithmError
	var wrong pgperrors.SignatureError
	switch {
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return notGood(who, err)
	case errors.As(err, &weak):
		return fmt.Errorf("it is signed by %s, whose key is too weak to prove anything: %w", who, err)
	case errors.As(err, &wrong):
		return mismatch(who)
	}
	return fmt.Errorf("its signature, by the key of %s, is not good: %w", who, err)
}

// goodNow says what is wrong with a key and its subkey now. Go-crypto looks at the
// time of the signature alone; git refuses a key that has expired since, and so do we.
func goodNow(e *openpgp.Entity, id uint64, config *packet.Config) error {
	if _, err := e.VerifyPrimaryKey(config.Now(), config); err != nil {
		return err
	}
	for i := range e.Subkeys {
		if e.Subkeys[i].PublicKey.KeyId != id {
			continue
		}
		if _, err := e.Subkeys[i].Verify(config.Now(), config); err != nil {
			return err
		}
	}
	return nil
}

func notGood(who string, err error) error {
	switch {
	case errors.Is(err, pgperrors.ErrKeyExpired):
		return fmt.Errorf("it is signed by %s, whose key has expired; renew the key, and allow it as it is then", who)
	case errors.Is(err, pgperrors.ErrKeyRevoked):
		return fmt.Errorf("it is signed by %s, whose key was revoked; sign with another, and allow that", who)
	case errors.Is(err, pgperrors.ErrSignatureExpired):
		return fmt.Errorf("it is signed by %s, with a signature that has expired; sign it again", who)
	}
	return fmt.Errorf("it is signed by %s, whose key is not good any more: %w", who, err)
}

// nameOf is the user of a key, or its fingerprint where it names none.
func nameOf(e *openpgp.Entity) string {
	if _, identity := e.PrimaryIdentity(time.Time{}, nil); identity != nil {
		return identity.Name
	}
	return strings.ToUpper(hex.EncodeToString(e.PrimaryKey.Fingerprint))
}
