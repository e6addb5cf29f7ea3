package identity

import (
	"bytes"
	"crypto/rsa"
	"crypto/x509"
	_ "embed" // the certificates
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// A certificate is one whose signatures count.
type certificate struct {
	*x509.Certificate
	region string // the only one it vouches for; empty: any
}

//go:embed aws.pem
var amazonsFile string

const regionMark = "\n# region "

// parseAmazons reads the file of Amazon's certificates: each stands below the name
// of its region.
func parseAmazons(text string) ([]certificate, error) {
	var all []certificate
	for _, part := range strings.Split(text, regionMark)[1:] {
		region, block, _ := strings.Cut(part, "\n")
		found, err := parseCertificates([]byte(block))
		if err == nil && len(found) != 1 {
			err = fmt.Errorf("it has %d certificates, and should have one", len(found))
		}
		if err != nil {
			return nil, fmt.Errorf("read the certificate of the region %s: %w", region, err)
		}
		all = append(all, certificate{found[0], region})
	}
	return all, nil
}

// What a folder of certificates may hold, far more than there are clouds.
const (
	maxCertFiles = 1000
	maxCertFile  = 1 << 20
)

// readFolder reads every *.pem of a folder.
func readFolder(dir string, now time.Time) ([]certificate, error) {
	if info, err := os.Stat(dir); err != nil || !info.IsDir() {
		if err == nil {
			err = errors.New("it is a file; name the folder it is in")
		}
		return nil, fmt.Errorf("read the folder of identity certificates %s: %w", dir, err)
	}
	paths, err := filepath.Glob(filepath.Join(escapeGlob(dir), "*.pem"))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the folder of identity certificates %s: %w", dir, err)
	case len(paths) == 0:
		return nil, fmt.Errorf("read the folder of identity certificates %s: there is no *.pem in it; put the certificates that your cloud signs with there", dir)
	case len(paths) > maxCertFiles:
		return nil, fmt.Errorf("read the folder of identity certificates %s: it has %d files; at most %d are read", dir, len(paths), maxCertFiles)
	}
	var all []certificate
	var errs []error
	for _, path := range paths {
		found, err := readFile(path, now)
		if err != nil {
			errs = append(errs, fmt.Errorf("read the identity certificates of %s: %w", path, err))
		}
		for _, c := range found {
			all = append(all, certificate{Certificate: c})
		}
	}
	return all, errors.Join(errs...)
}

// escapeGlob has a folder's own name match itself alone.
func escapeGlob(name string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(name)
}

func readFile(path string, now time.Time) ([]*x509.Certificate, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(file, maxCertFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxCertFile:
		return nil, fmt.Errorf("it has more than %d bytes", maxCertFile)
	}
	found, err := parseCertificates(text)
	if err != nil {
		return nil, err
	}
	for _, c := range found {
		if now.After(c.NotAfter) {
			return nil, fmt.Errorf("the certificate %s ended on %s; take the one that the cloud signs with now", c.SerialNumber, c.NotAfter.Format(time.DateOnly))
		}
	}
	return found, nil
}

// leastBits is what a key must have for its signatures to count.
const leastBits = 2048

// parseCertificates reads PEM blocks, at least one, each a certificate of an RSA key.
func parseCertificates(text []byte) ([]*x509.Certificate, error) {
	var all []*x509.Certificate
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			break
		}
		text = rest
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("it holds a %s, and only certificates belong there", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		key, ok := c.PublicKey.(*rsa.PublicKey)
		if !ok || key.N.BitLen() < leastBits {
			return nil, fmt.Errorf("the certificate %s is not of an RSA key of %d bits or more; the DSA and RSA-1024 ones of a cloud are for its other signatures", c.SerialNumber, leastBits)
		}
		all = append(all, c)
	}
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, errors.New("one of its blocks is not whole; copy it again, with its first and last line")
	}
	if len(all) == 0 {
		return nil, errors.New("there is no certificate in it; it begins with -----BEGIN CERTIFICATE-----")
	}
	return all, nil
}
