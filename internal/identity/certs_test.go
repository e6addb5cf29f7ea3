package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAmazonsCertificates(t *testing.T) {
	v, err := Open("")
	if err != nil {
		t.Fatal(err)
	}
	if len(v.certificates) != 36 || strings.Count(amazonsFile, "-----BEGIN") != 36 {
		t.Errorf("there are %d certificates", len(v.certificates))
	}
	regions, serials := map[string]bool{}, map[string]bool{}
	for _, c := range v.certificates {
		if key, ok := c.PublicKey.(*rsa.PublicKey); !ok || key.N.BitLen() < 2048 || key.E < 3 {
			t.Errorf("%s: the key is %T", c.region, c.PublicKey)
		}
		if now := time.Now(); now.Before(c.NotBefore) || now.AddDate(5, 0, 0).After(c.NotAfter) {
			t.Errorf("%s: it holds from %s to %s", c.region, c.NotBefore, c.NotAfter)
		}
		if err := c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature); err != nil {
			t.Errorf("%s: it is not as its own key signed it: %v", c.region, err)
		}
		if c.Subject.String() != "O=Amazon Web Services LLC,L=Seattle,ST=Washington State,C=US" {
			t.Errorf("%s: it is of %s", c.region, c.Subject)
		}
		if !regionForm.MatchString(c.region) || regions[c.region] || serials[c.SerialNumber.String()] {
			t.Errorf("the region %q or its serial number is not one, or is there twice", c.region)
		}
		regions[c.region], serials[c.SerialNumber.String()] = true, true
	}
	for _, region := range []string{"us-east-1", "eu-central-1", "cn-north-1", "us-gov-west-1", "mx-central-1"} {
		if !regions[region] {
			t.Errorf("there is no certificate of %s", region)
		}
	}
	if _, err := parseAmazons(strings.Replace(amazonsFile, "MII", "MIJ", 1)); err == nil || !strings.Contains(err.Error(), "of the region af-south-1") {
		t.Errorf("a broken one: %v", err)
	}
}

// certify makes a certificate that ends at end.
func certify(t *testing.T, key interface{ Public() any }, private any, end time.Time) []byte {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(5), NotBefore: end.Add(-2 * time.Hour), NotAfter: end}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}

type publicKey struct{ any }

func (k publicKey) Public() any { return k.any }

func TestOpenFolder(t *testing.T) {
	c, dir := newCloud(t), filepath.Join(t.TempDir(), "a [cloud]")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(name string, content []byte) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	good := c.CertificatePEM()
	if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "there is no *.pem in it") {
		t.Errorf("an empty folder: %v", err)
	}
	write("cloud.pem", append([]byte("our cloud's\n"), good...))
	write("notes.txt", []byte("not read"))
	v, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Verify(c.proof(t)); err != nil {
		t.Error(err)
	}

	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	public, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	large, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour)
	bad := map[string]struct {
		content []byte
		want    string
	}{
		"small.pem": {certify(t, publicKey{small.Public()}, small, later), "not of an RSA key of 2048 bits or more"},
		"other.pem": {certify(t, publicKey{public}, edwards, later), "not of an RSA key of 2048 bits or more"},
		"ended.pem": {certify(t, publicKey{large.Public()}, large, time.Now().Add(-time.Hour)), "the certificate 5 ended on"},
		"key.pem":   {pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("x")}), "it holds a PRIVATE KEY"},
		"cut.pem":   {append(append([]byte{}, good...), good[:200]...), "one of its blocks is not whole"},
		"empty.pem": {nil, "there is no certificate in it"},
		"huge.pem":  {make([]byte, maxCertFile+1), "it has more than 1048576 bytes"},
		"junk.pem":  {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("x")}), "x509: "},
	}
	for name, file := range bad {
		write(name, file.content)
	}
	_, err = Open(dir)
	for name, file := range bad {
		if want := fmt.Sprintf("read the identity certificates of %s: ", filepath.Join(dir, name)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not named: %v", name, err)
		} else if !strings.Contains(err.Error(), file.want) {
			t.Errorf("%s: %v; want %q", name, err, file.want)
		}
	}
	for _, dir := range []string{filepath.Join(dir, "cloud.pem"), filepath.Join(dir, "none")} {
		if _, err := Open(dir); err == nil || !strings.Contains(err.Error(), "read the folder of identity certificates "+dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
}
