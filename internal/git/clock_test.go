package git_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"log"
	"math/big"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"popup/internal/git"
)

// A certificate of the future is a clock of the past; one that ended may be either.
func TestCertificatesThatAreNotValidNow(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		from, to time.Duration
		class    git.Class
		want     string
	}{
		"future": {day, 30 * day, git.Clock, "the server's certificate begins on "},
		"past":   {-30 * day, -day, git.TLS, "the server's certificate ended on "},
		"now":    {-day, day, git.TLS, "is not trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(c.from), NotAfter: time.Now().Add(c.to),
				IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
			der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
			if err != nil {
				t.Fatal(err)
			}
			server := httptest.NewUnstartedServer(nil)
			server.Config.ErrorLog = log.New(io.Discard, "", 0)
			server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
			server.StartTLS()
			t.Cleanup(server.Close)
			_, err = remote(t, server.URL, git.Options{}).Head(t.Context(), "")
			wantError(t, err, c.class, c.want, "check this machine's clock")
		})
	}
}
