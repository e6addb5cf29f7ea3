package identity

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popup/internal/wire"
)

// openssl signs with a key of its own, in every way that there is.
type openssl struct {
	dir  string
	cert *x509.Certificate
}

func newOpenssl(t *testing.T) openssl {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(made.Add(1)), Subject: pkix.Name{CommonName: "a cloud"}, SubjectKeyId: []byte("key"),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	o := openssl{dir: t.TempDir()}
	if o.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	o.write(t, "key.pem", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
	o.write(t, "cert.pem", pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return o
}

func (o openssl) write(t *testing.T, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(o.dir, name), content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func (o openssl) sign(t *testing.T, document string, flags ...string) wire.Identity {
	t.Helper()
	args := append([]string{"cms", "-sign", "-binary", "-signer", "cert.pem", "-inkey", "key.pem", "-outform", "DER"}, flags...)
	cmd := exec.CommandContext(t.Context(), "openssl", args...)
	cmd.Dir, cmd.Stdin = o.dir, strings.NewReader(document)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("openssl %s: %v: %s", args, err, stderr.String())
	}
	p := wire.Identity{Kind: wire.IdentityEC2, Document: []byte(document), Signature: stdout.Bytes()}
	encode(&p)
	return p
}

// TestVerifyOpenssl: Amazon's are embedded, with attributes, without certificates,
// and in BER; others may write theirs in other ways.
func TestVerifyOpenssl(t *testing.T) {
	o, other := newOpenssl(t), newOpenssl(t)
	v := &Verifier{certificates: []certificate{{o.cert, ""}}, now: time.Now}
	document := `{"instanceId":"i-01234567", "region":"eucalyptus"}` + strings.Repeat(" ", 9000) // some strings are in pieces
	amazons := []string{"-nodetach", "-stream", "-nocerts"}
	for _, flags := range [][]string{amazons, {"-nodetach"}, {"-nodetach", "-noattr"}, {}, {"-noattr"}, {"-stream"},
		{"-nodetach", "-stream", "-noattr"}, {"-nodetach", "-nosmimecap", "-cades"}} {
		p := o.sign(t, document, flags...)
		if d, err := v.Verify(p); err != nil || d.InstanceID != "i-01234567" || d.Region != "eucalyptus" {
			t.Errorf("%s: %+v, %v", flags, d, err)
		}
		p.Document = []byte(strings.Replace(document, "i-0", "i-1", 1))
		if d, err := v.Verify(p); err == nil {
			t.Errorf("%s: another document was taken: %+v", flags, d)
		}
	}
	if amazon := decoded(t, o.sign(t, document, amazons...)); amazon[1] != 0x80 {
		t.Errorf("openssl does not leave lengths open: % x", amazon[:8])
	}
	for want, flags := range map[string][]string{
		"RSA with SHA-256":                         {"-md", "sha1"},
		"it has 2 signatures, and should have one": {"-signer", filepath.Join(other.dir, "cert.pem"), "-inkey", filepath.Join(other.dir, "key.pem")},
		"what is signed is not plain data":         {"-econtent_type", "1.2.3.4"},
		"not a PKCS #7 message as clouds write it": {"-keyid"},
	} {
		if d, err := v.Verify(o.sign(t, document, flags...)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", flags, d, err, want)
		}
	}
}
