package identity

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
)

// What a signature may be made of (RFC 5652); anything else is refused.
var (
	oidData          = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData    = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidContentType   = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 3}
	oidMessageDigest = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 4}
	oidSHA256        = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA           = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
	oidSHA256RSA     = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 11}
)

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content asn1.RawValue `asn1:"explicit,optional,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      contentInfo
	Certificates asn1.RawValue `asn1:"optional,tag:0"` // whoever wrote the message put them there
	CRLs         asn1.RawValue `asn1:"optional,tag:1"`
	Signers      []signerInfo  `asn1:"set"`
}

type signerInfo struct {
	Version    int
	Signer     issuerAndSerial
	Digest     pkix.AlgorithmIdentifier
	Attributes asn1.RawValue `asn1:"optional,tag:0"`
	Algorithm  pkix.AlgorithmIdentifier
	Signature  []byte
	Unsigned   asn1.RawValue `asn1:"optional,tag:1"`
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

type attribute struct {
	Type   asn1.ObjectIdentifier
	Values []asn1.RawValue `asn1:"set"`
}

// signed is a message with one signature: over what it brings, or over what
// somebody else does.
type signed struct {
	signerInfo
	content  []byte
	embedded bool
}

// parseSigned reads a message, of which nothing is believed yet.
func parseSigned(message []byte) (signed, error) {
	message, err := toDER(message)
	if err != nil {
		return signed{}, err
	}
	var info contentInfo
	if err := unmarshal(message, &info); err != nil {
		return signed{}, err
	}
	var data signedData
	if !info.Type.Equal(oidSignedData) {
		return signed{}, errors.New("it is not of signed data")
	}
	if err := unmarshal(info.Content.Bytes, &data); err != nil {
		return signed{}, err
	}
	if len(data.Signers) != 1 {
		return signed{}, fmt.Errorf("it has %d signatures, and should have one", len(data.Signers))
	}
	s := signed{signerInfo: data.Signers[0], embedded: len(data.Content.Content.FullBytes) > 0}
	switch {
	case !data.Content.Type.Equal(oidData):
		return signed{}, errors.New("what is signed is not plain data")
	case !s.Digest.Algorithm.Equal(oidSHA256) || !s.Algorithm.Algorithm.Equal(oidRSA) && !s.Algorithm.Algorithm.Equal(oidSHA256RSA):
		return signed{}, errors.New("it is not signed by RSA with SHA-256; the RSA-2048 signature is, the others of a machine are not")
	case s.Signer.Serial == nil:
		return signed{}, errors.New("it does not say who signed it")
	}
	if s.embedded {
		if err := unmarshal(data.Content.Content.Bytes, &s.content); err != nil {
			return signed{}, err
		}
	}
	return s, nil
}

// unmarshal reads one value, and refuses what comes after it.
func unmarshal(der []byte, to any) error {
	rest, err := asn1.Unmarshal(der, to)
	if err == nil && len(rest) > 0 {
		err = fmt.Errorf("%d bytes follow that do not belong there", len(rest))
	}
	return err
}

// names says whether the message says that cert signed it.
func (s signed) names(cert *x509.Certificate) bool {
	return cert.SerialNumber.Cmp(s.Signer.Serial) == 0 && bytes.Equal(cert.RawIssuer, s.Signer.Issuer.FullBytes)
}

// check says whether cert's key signed the document, and nothing but it.
func (s signed) check(cert *x509.Certificate, document []byte) error {
	if s.embedded && !bytes.Equal(s.content, document) {
		return errors.New("another document is signed")
	}
	over := document
	if len(s.Attributes.FullBytes) > 0 {
		var err error
		if over, err = s.overAttributes(document); err != nil {
			return err
		}
	}
	return cert.CheckSignature(x509.SHA256WithRSA, over, s.Signature)
}

// overAttributes is what is signed where there are attributes: these, as a SET, and
// one of them is the digest of the document.
func (s signed) overAttributes(document []byte) ([]byte, error) {
	set := bytes.Clone(s.Attributes.FullBytes)
	set[0] = asn1.TagSet | 0x20 // in the message it has a tag of its own, [0]
	var attributes []attribute
	if _, err := asn1.UnmarshalWithParams(set, &attributes, "set"); err != nil {
		return nil, err
	}
	var digest []byte
	var kind asn1.ObjectIdentifier
	for _, a := range attributes {
		var to any
		switch {
		case a.Type.Equal(oidMessageDigest) && digest == nil:
			to = &digest
		case a.Type.Equal(oidContentType) && kind == nil:
			to = &kind
		case a.Type.Equal(oidMessageDigest) || a.Type.Equal(oidContentType):
			return nil, errors.New("an attribute is there twice")
		default:
			continue
		}
		if len(a.Values) != 1 {
			return nil, fmt.Errorf("an attribute has %d values", len(a.Values))
		}
		if err := unmarshal(a.Values[0].FullBytes, to); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(document)
	if !kind.Equal(oidData) || !bytes.Equal(digest, sum[:]) {
		return nil, errors.New("another document is signed")
	}
	return set, nil
}
