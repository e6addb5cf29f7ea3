package launcher

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/identity"
	"popup/internal/machine"
	"popup/internal/wire"
)

// TestEnrolsWithProof: where the console wants to know, the machine's own cloud says
// what machine this is, or nothing is sent; and nobody else asks the cloud.
func TestEnrolsWithProof(t *testing.T) {
	signer, err := machine.NewIdentitySigner(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "cloud.pem"), signer.CertificatePEM(), 0o600); err != nil {
		t.Fatal(err)
	}
	verifier, err := identity.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	serve := func(signer *machine.IdentitySigner) http.Handler {
		m, err := machine.NewIMDS(machine.MetadataConfig{InstanceID: "i-0123456789abcdef0", Signer: signer})
		if err != nil {
			t.Fatal(err)
		}
		return m
	}
	away := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	for name, c := range map[string]struct {
		wanted  string
		cloud   http.Handler
		machine string // of the proof
		err     string
		cause   string
	}{
		"a proof":       {wire.IdentityEC2, serve(signer), "i-0123456789abcdef0", "", ""},
		"none wanted":   {"", serve(signer), "", "", ""},
		"none to have":  {wire.IdentityEC2, serve(nil), "", "prove to the console what machine this is: ", "the cloud does not say what machine this is, and the console wants to know"},
		"not there yet": {wire.IdentityEC2, away, "", "no instance metadata service answers", "the cloud does not say yet what machine this is"},
	} {
		var asked, enrolled atomic.Int64
		var sent atomic.Pointer[wire.Enrolment]
		cloud := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			c.cloud.ServeHTTP(w, r)
		}))
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", cloud.URL)
		console := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			var e wire.Enrolment
			if err := json.NewDecoder(r.Body).Decode(&e); err != nil {
				t.Error(err)
			}
			enrolled.Add(1)
			sent.Store(&e)
			polite(w, r)
		}))
		a := linked(t, t.TempDir(), wire.Console{URL: console.URL, Token: token, Identity: c.wanted})
		err := a.console.enrolOnce(t.Context())
		if c.err != "" {
			if err == nil || !strings.Contains(err.Error(), c.err) || enrolCause(err) != c.cause || enrolled.Load() != 0 {
				t.Errorf("%s: %v, and the page says %q", name, err, enrolCause(err))
			}
		} else if e := sent.Load(); err != nil || (e.Identity != nil) != (c.machine != "") || (asked.Load() > 0) != (c.machine != "") {
			t.Errorf("%s: %v, it sent %+v, and asked the cloud %d times", name, err, e, asked.Load())
		} else if c.machine != "" {
			if d, err := verifier.Verify(*e.Identity); err != nil || d.InstanceID != c.machine {
				t.Errorf("%s: the proof is of %+v, %v", name, d, err)
			}
		}
		shut(t, a)
		cloud.Close()
		console.Close()
	}
}
