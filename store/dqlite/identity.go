package dqlite

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"time"
)

// peerName is what every node's certificate is for: a node is trusted for the authority
// that vouches for it, wherever it is.
const peerName = "node.popup.internal"

// A certificate lasts longer than a cluster; one that is younger than the clock of the
// machine it comes to is valid there all the same.
const (
	lifetime = 20 * 365 * 24 * time.Hour
	skew     = 24 * time.Hour
)

// An Authority vouches for the nodes of one cluster. Whoever has its key may let
// others in.
type Authority struct{ Certificate, Key []byte } // PEM

// An Identity is what one node shows to the others, and knows them by.
type Identity struct {
	Authority   []byte // PEM, the authority's certificate
	Certificate []byte // PEM
	Key         []byte // PEM, secret
}

// NewAuthority makes the authority of a new cluster.
func NewAuthority() (Authority, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return Authority{}, fmt.Errorf("make the cluster's authority: %w", err)
	}
	template := certificate("popup cluster")
	template.IsCA, template.BasicConstraintsValid, template.MaxPathLenZero = true, true, true
	template.KeyUsage = x509.KeyUsageCertSign
	cert, err := sign(template, template, key.Public(), key)
	if err != nil {
		return Authority{}, fmt.Errorf("make the cluster's authority: %w", err)
	}
	return Authority{cert, keyPEM}, nil
}

// Issue makes the identity of the node at an address.
func (a Authority) Issue(address string) (Identity, error) {
	key, keyPEM, err := newKey()
	if err != nil {
		return Identity{}, fmt.Errorf("issue a node's certificate: %w", err)
	}
	cert, err := a.certify(key.Public(), address)
	return Identity{a.Certificate, cert, keyPEM}, err
}

// certify vouches that whoever has a key is the node at an address.
func (a Authority) certify(key crypto.PublicKey, address string) ([]byte, error) {
	pair, err := tls.X509KeyPair(a.Certificate, a.Key)
	if err != nil {
		return nil, fmt.Errorf("issue a node's certificate: read the authority: %w", err)
	}
	template := certificate(address)
	template.DNSNames = []string{peerName}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	cert, err := sign(template, pair.Leaf, key, pair.PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("issue a node's certificate: %w", err)
	}
	return cert, nil
}

// certificate is what all have in common. A node's is named after its address.
func certificate(name string) *x509.Certificate {
	serial := make([]byte, 16)
	rand.Read(serial) //nolint:errcheck // it never fails
	return &x509.Certificate{SerialNumber: new(big.Int).SetBytes(serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-skew), NotAfter: time.Now().Add(lifetime)}
}

// sign has the parent certify a key.
func sign(template, parent *x509.Certificate, key crypto.PublicKey, by crypto.PrivateKey) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key, by)
	if err != nil {
		return nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func newKey() (key *ecdsa.PrivateKey, keyPEM []byte, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, nil, err
	}
	return key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}

// AddressOf is at which address the node in a folder is known to the others. Its error is
// fs.ErrNotExist where it never was.
func AddressOf(dir string) (string, error) {
	_, err := os.Stat(filepath.Join(dir, infoFile))
	if errors.Is(err, fs.ErrNotExist) {
		_, err = os.Stat(filepath.Join(dir, joinedFile))
	}
	if err != nil {
		return "", err
	}
	var i Identity
	if err := readFile(filepath.Join(dir, identityFile), &i); err != nil {
		return "", err
	}
	block, _ := pem.Decode(i.Certificate)
	if block == nil {
		return "", fmt.Errorf("read %s: it holds no certificate", filepath.Join(dir, identityFile))
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return "", fmt.Errorf("read %s: %w", filepath.Join(dir, identityFile), err)
	}
	return cert.Subject.CommonName, nil
}
