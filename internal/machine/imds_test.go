package machine

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const testInstance = "i-0123456789abcdef0"

func testIMDS(t testing.TB, cfg MetadataConfig) *IMDS {
	t.Helper()
	cfg.InstanceID = testInstance
	m, err := NewIMDS(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// ask sends one request; headers are name and value in turn.
func ask(m *IMDS, method, path string, headers ...string) (int, string) {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	m.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func token(t testing.TB, m *IMDS, ttl string) string {
	t.Helper()
	status, text := ask(m, http.MethodPut, "/latest/api/token", tokenTTLHeader, ttl)
	if status != http.StatusOK {
		t.Fatalf("a token for %s s: %d", ttl, status)
	}
	return text
}

func TestIMDSTokens(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m := testIMDS(t, MetadataConfig{Now: func() time.Time { return now }})
	const id = "/latest/meta-data/instance-id"

	if status, _ := ask(m, http.MethodGet, id); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if status, _ := ask(m, http.MethodGet, id, tokenHeader, "made up"); status != http.StatusUnauthorized {
		t.Errorf("with a token that is none: %d", status)
	}
	other := token(t, testIMDS(t, MetadataConfig{Now: func() time.Time { return now }}), "60")
	if status, _ := ask(m, http.MethodGet, id, tokenHeader, other); status != http.StatusUnauthorized {
		t.Errorf("with another instance's token: %d", status)
	}
	for _, ttl := range []string{"", "0", "-1", "21601", "soon"} {
		if status, _ := ask(m, http.MethodPut, "/latest/api/token", tokenTTLHeader, ttl); status != http.StatusBadRequest {
			t.Errorf("a token for %q s: %d", ttl, status)
		}
	}
	if status, _ := ask(m, http.MethodPut, "/latest/api/token", tokenTTLHeader, "60", "X-Forwarded-For", "10.0.0.1"); status != http.StatusForbidden {
		t.Errorf("a token through a proxy: %d", status)
	}
	given := token(t, m, "60")
	if status, text := ask(m, http.MethodGet, id, tokenHeader, given); status != http.StatusOK || text != testInstance {
		t.Errorf("with a token: %d %q", status, text)
	}
	now = now.Add(time.Minute)
	if status, _ := ask(m, http.MethodGet, id, tokenHeader, given); status != http.StatusUnauthorized {
		t.Errorf("with a token that has ended: %d", status)
	}
}

func TestIMDSTree(t *testing.T) {
	m := testIMDS(t, MetadataConfig{UserData: []byte("#!/bin/sh\n"), MAC: "52:54:00:00:00:01", AllowV1: true})
	const nics = "/2021-03-23/meta-data/network/interfaces/macs/"
	for path, want := range map[string]string{
		"/latest/":                                        "meta-data/\nuser-data",
		"/latest/meta-data/placement":                     "availability-zone\nregion",
		"/latest/meta-data/placement/":                    "availability-zone\nregion",
		"/2009-04-04/meta-data/placement/region":          "us-east-1",
		"/latest/meta-data/local-ipv4":                    "169.254.169.15",
		"/latest/meta-data/local-hostname":                "ip-169-254-169-15",
		"/2021-03-23/user-data":                           "#!/bin/sh\n",
		nics:                                              "52:54:00:00:00:01/",
		nics + "52:54:00:00:00:01/device-number":          "0",
		nics + "52:54:00:00:00:01/local-ipv4s":            "169.254.169.15",
		nics + "52:54:00:00:00:01/subnet-ipv4-cidr-block": "169.254.169.0/24",
	} {
		if status, text := ask(m, http.MethodGet, path); status != http.StatusOK || text != want {
			t.Errorf("%s: %d %q, want %q", path, status, text, want)
		}
	}
	for _, path := range []string{"/1999-01-01/meta-data/", "/latest/meta-data/none", "/latest/dynamic/", "/latest/meta-data/instance-id/x"} {
		if status, _ := ask(m, http.MethodGet, path); status != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", path, status)
		}
	}
	if status, _ := ask(m, http.MethodPost, "/latest/meta-data/"); status != http.StatusMethodNotAllowed {
		t.Errorf("a POST: %d", status)
	}
	if _, text := ask(m, http.MethodGet, "/"); !strings.HasSuffix(text, "\nlatest") {
		t.Errorf("the versions are %q", text)
	}
}

func TestIMDSRefuses(t *testing.T) {
	for want, cfg := range map[string]MetadataConfig{
		`the instance id "i-xyz" is not`:                           {InstanceID: "i-xyz"},
		"the user-data has 16385 bytes: at most 16384 are allowed": {InstanceID: testInstance, UserData: make([]byte, 16385)},
		`the local address "here" is none`:                         {InstanceID: testInstance, LocalIPv4: "here"},
	} {
		if _, err := NewIMDS(cfg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want %q", err, want)
		}
	}
}

func TestIdentityDocument(t *testing.T) {
	signer, err := NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	launched := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	m := testIMDS(t, MetadataConfig{Signer: signer, AllowV1: true, LaunchTime: launched})
	const dir = "/latest/dynamic/instance-identity/"
	_, document := ask(m, http.MethodGet, dir+"document")
	var says struct{ InstanceID, PendingTime, Region string }
	if err := json.Unmarshal([]byte(document), &says); err != nil {
		t.Fatal(err)
	}
	if says.InstanceID != testInstance || says.PendingTime != "2026-05-01T12:00:00Z" || says.Region != "us-east-1" {
		t.Errorf("the document says %+v", says)
	}

	_, text := ask(m, http.MethodGet, dir+"signature")
	signature, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte(document))
	if err := rsa.VerifyPKCS1v15(signer.Certificate().PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature); err != nil {
		t.Errorf("the signature: %v", err)
	}

	_, text = ask(m, http.MethodGet, dir+"rsa2048")
	if got, err := opensslVerify(t, signer, text); err != nil || got != document {
		t.Errorf("openssl read %q: %v", got, err)
	}
	other, err := NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := opensslVerify(t, other, text); err == nil {
		t.Error("openssl took one signer's document for another's")
	}
}

// opensslVerify checks an envelope as the documentation of EC2 tells its users
// to, against the signer's certificate alone, and returns its content.
func opensslVerify(t *testing.T, signer *IdentitySigner, envelope string) (string, error) {
	t.Helper()
	cert := filepath.Join(t.TempDir(), "cert.pem")
	block := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: signer.Certificate().Raw})
	if err := os.WriteFile(cert, block, 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "openssl", "smime", "-verify", "-inform", "PEM", "-binary",
		"-certfile", cert, "-nointern", "-noverify")
	cmd.Stdin = strings.NewReader("-----BEGIN PKCS7-----\n" + envelope + "\n-----END PKCS7-----\n")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		t.Logf("openssl: %s", stderr.String())
	}
	return stdout.String(), err
}

func FuzzIMDS(f *testing.F) {
	f.Add("GET", "/latest/meta-data/", "")
	f.Add("PUT", "/latest/api/token", "AAAA")
	f.Add("GET", "//latest//../user-data", "====")
	m := testIMDS(f, MetadataConfig{UserData: []byte("secret")})
	f.Fuzz(func(t *testing.T, method, path, given string) {
		r, err := http.NewRequest(method, "http://imds/", nil)
		if err != nil {
			t.Skip("not a request")
		}
		r.URL.Path = path
		r.Header.Set(tokenHeader, given)
		w := httptest.NewRecorder()
		m.ServeHTTP(w, r)
		if strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%s %q with the token %q was answered", method, path, given)
		}
	})
}
