package machine

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"time"

	"popup/internal/atomicfile"
)

// identityYears is how long the certificate of an IdentitySigner holds.
const identityYears = 10

// An IdentitySigner signs identity documents, as a cloud's region does. It may
// be used by several goroutines at once.
type IdentitySigner struct {
	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// NewIdentitySigner makes a signer with an RSA key of 2048 bits and a
// certificate of its own that holds from an hour before now.
func NewIdentitySigner(now time.Time) (*IdentitySigner, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, fmt.Errorf("make identity signer: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(now.Unix()),
		Subject:      pkix.Name{CommonName: "popup instance identity"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(identityYears, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("make identity signer: %w", err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("make identity signer: %w", err)
	}
	return &IdentitySigner{key: key, cert: cert}, nil
}

// KeptIdentitySigner returns the signer whose key and certificate are in a file that we
// alone may read; it is made where it is not there. One program at a time may ask.
func KeptIdentitySigner(path string, now time.Time) (*IdentitySigner, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return makeKeptSigner(path, now)
	}
	if err != nil {
		return nil, fmt.Errorf("read identity signer: %w", err)
	}
	s := &IdentitySigner{}
	for block, rest := pem.Decode(text); block != nil; block, rest = pem.Decode(rest) {
		switch block.Type {
		case pemKey:
			s.key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case pemCertificate:
			s.cert, err = x509.ParseCertificate(block.Bytes)
		}
		if err != nil {
			return nil, fmt.Errorf("read identity signer %s: %w", path, err)
		}
	}
	if s.key == nil || s.cert == nil {
		return nil, fmt.Errorf("read identity signer: %s has no key and certificate; remove it to have others made, which vouch for machines that start then", path)
	}
	return s, nil
}

// The types of what is in the file of a signer.
const (
	pemKey         = "RSA PRIVATE KEY"
	pemCertificate = "CERTIFICATE"
)

func makeKeptSigner(path string, now time.Time) (*IdentitySigner, error) {
	s, err := NewIdentitySigner(now)
	if err != nil {
		return nil, err
	}
	text := append(pem.EncodeToMemory(&pem.Block{Type: pemKey, Bytes: x509.MarshalPKCS1PrivateKey(s.key)}), s.CertificatePEM()...)
	if err := atomicfile.Write(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("keep identity signer: %w", err)
	}
	return s, nil
}

// Certificate is what verifies the signatures.
func (s *IdentitySigner) Certificate() *x509.Certificate { return s.cert }

// CertificatePEM is the certificate as a file of it holds it.
func (s *IdentitySigner) CertificatePEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.cert.Raw})
}

// Sign returns the RSA signature (PKCS #1 v1.5) of the document's SHA-256.
func (s *IdentitySigner) Sign(document []byte) ([]byte, error) {
	sum := sha256.Sum256(document)
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, sum[:])
	if err != nil {
		return nil, fmt.Errorf("sign identity document: %w", err)
	}
	return signature, nil
}

// The names PKCS #7 (RFC 2315) has for what an envelope is made of.
var (
	oidData       = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 1}
	oidSignedData = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 7, 2}
	oidSHA256     = asn1.ObjectIdentifier{2, 16, 840, 1, 101, 3, 4, 2, 1}
	oidRSA        = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 1, 1}
)

type contentInfo struct {
	Type    asn1.ObjectIdentifier
	Content any `asn1:"explicit,tag:0"`
}

type signedData struct {
	Version      int
	Digests      []pkix.AlgorithmIdentifier `asn1:"set"`
	Content      contentInfo
	Certificates asn1.RawValue
	Signers      []signerInfo `asn1:"set"`
}

type signerInfo struct {
	Version   int
	Signer    issuerAndSerial
	Digest    pkix.AlgorithmIdentifier
	Algorithm pkix.AlgorithmIdentifier
	Signature []byte
}

type issuerAndSerial struct {
	Issuer asn1.RawValue
	Serial *big.Int
}

// Envelope returns the document, its signature and the certificate as one
// PKCS #7 message.
func (s *IdentitySigner) Envelope(document []byte) ([]byte, error) {
	signature, err := s.Sign(document)
	if err != nil {
		return nil, err
	}
	digest := pkix.AlgorithmIdentifier{Algorithm: oidSHA256, Parameters: asn1.NullRawValue}
	envelope, err := asn1.Marshal(contentInfo{oidSignedData, signedData{
		Version:      1,
		Digests:      []pkix.AlgorithmIdentifier{digest},
		Content:      contentInfo{oidData, document},
		Certificates: asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: s.cert.Raw},
		Signers: []signerInfo{{
			Version:   1,
			Signer:    issuerAndSerial{asn1.RawValue{FullBytes: s.cert.RawIssuer}, s.cert.SerialNumber},
			Digest:    digest,
			Algorithm: pkix.AlgorithmIdentifier{Algorithm: oidRSA, Parameters: asn1.NullRawValue},
			Signature: signature,
		}},
	}})
	if err != nil {
		return nil, fmt.Errorf("envelop identity document: %w", err)
	}
	return envelope, nil
}
