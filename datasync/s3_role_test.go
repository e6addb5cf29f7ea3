package datasync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/git"
	cloud "popup/internal/machine"
	"popup/internal/metadata"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// onMachine has what this process asks of its machine's cloud answered by one with
// this role, and nothing to sign in with in the environment. It returns how often
// that is asked.
func onMachine(t *testing.T, role *cloud.MetadataRole) *atomic.Int64 {
	t.Helper()
	imds, err := cloud.NewIMDS(cloud.MetadataConfig{InstanceID: "i-0123456789abcdef0", Role: role})
	if err != nil {
		t.Fatal(err)
	}
	asked := new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		imds.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_EC2_METADATA_DISABLED"} {
		t.Setenv(name, "")
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.URL)
	return asked
}

// roleOf is a role that may what the server's owner may. The server knows no sessions.
func roleOf(s *testutil.S3, session string) *cloud.MetadataRole {
	return &cloud.MetadataRole{Name: "popup-fair", Keys: func() (string, string, string, time.Time) {
		return s.Access, s.Secret, session, time.Now().Add(time.Hour)
	}}
}

// TestBucketByRole: a machine's role reads a bucket and keeps archives in one, where
// nothing else is there to sign in with.
func TestBucketByRole(t *testing.T) {
	server := testutil.NewS3(t)
	server.Put(map[string]string{"x/day": "one"})
	asked := onMachine(t, roleOf(server, ""))
	spec := wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}
	open := func(spec wire.Source, opts SourceOptions) Source {
		t.Helper()
		source, err := NewSource(spec, opts)
		if err != nil {
			t.Fatal(err)
		}
		return source
	}
	source := open(spec, SourceOptions{})
	for range 3 {
		if _, err := source.Head(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 3 {
		t.Errorf("for a token, the role and its keys the cloud was asked %d times", asked.Load())
	}
	vault, err := OpenVault(wire.State{Vault: "s3://fair/kept/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := vault.Put(t.Context(), "one.tar.zst", strings.NewReader("archive")); err != nil {
		t.Fatal(err)
	}
	kept, err := vault.Get(t.Context(), "one.tar.zst")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(kept); err != nil || string(text) != "archive" {
		t.Errorf("it keeps %q, %v", text, err)
	}
	if err := kept.Close(); err != nil {
		t.Error(err)
	}

	before := asked.Load()
	spec.CredentialsFile = keysFile(t, server)
	if _, err := open(spec, SourceOptions{}).Head(t.Context()); err != nil {
		t.Error(err)
	}
	spec.CredentialsFile = ""
	if _, err := open(spec, SourceOptions{DialContext: new(net.Dialer).DialContext}).Head(t.Context()); !isClass(err, git.Credentials) {
		t.Errorf("what a stranger named is read by the machine's role: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", server.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.Secret)
	if _, err := open(spec, SourceOptions{}).Head(t.Context()); err != nil {
		t.Error(err)
	}
	if asked.Load() != before {
		t.Errorf("the cloud is asked though there are other keys, %d times", asked.Load()-before)
	}
}

// TestRoleBringsItsSession, and is named where it is not let in.
func TestRoleBringsItsSession(t *testing.T) {
	server := testutil.NewS3(t)
	onMachine(t, roleOf(server, "a session"))
	vault, err := OpenVault(wire.State{Vault: "s3://fair/kept/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Amz-Security-Token") != "a session" {
			t.Errorf("%s %s without the role's session", r.Method, r.URL)
		}
		w.WriteHeader(http.StatusForbidden)
	})
	if err := vault.Put(t.Context(), "one.tar.zst", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "allow the key in the machine's role s3:ListBucket") {
		t.Errorf("a refusal: %v", err)
	}
}

// TestBucketWithoutRole: a machine that has none asks as everybody may.
func TestBucketWithoutRole(t *testing.T) {
	server := testutil.NewS3(t)
	server.Put(map[string]string{"x/day": "one"})
	asked := onMachine(t, nil)
	source, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Head(t.Context()); !isClass(err, git.Credentials) {
		t.Errorf("a bucket that is not open: %v", err)
	}
	server.OpenToAll()
	if _, err := source.Head(t.Context()); err != nil {
		t.Errorf("a bucket that is open to all: %v", err)
	}
	if asked.Load() != 2 {
		t.Errorf("for a token and the role it asked %d times", asked.Load())
	}
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("it signs with nothing")
		}
		w.WriteHeader(http.StatusForbidden)
	})
	if _, err := source.Head(t.Context()); err == nil {
		t.Error("a refusal is none")
	}
	vault, err := OpenVault(wire.State{Vault: "s3://fair/kept/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if err := vault.Put(t.Context(), "one.tar.zst", strings.NewReader("x")); err == nil || !strings.Contains(err.Error(), "or give the machine a role") {
		t.Errorf("a vault: %v", err)
	}
	t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "nonsense")
	if _, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/"}, SourceOptions{}); err == nil || !strings.Contains(err.Error(), "AWS_EC2_METADATA_SERVICE_ENDPOINT is no web address") {
		t.Errorf("a broken address of the cloud's: %v", err)
	}
}

func isClass(err error, class git.Class) bool {
	var known *git.Error
	return errors.As(err, &known) && known.Class == class
}

// TestRoleIsRenewed before its keys end, and they are good until then.
func TestRoleIsRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		asked, fail := 0, error(nil)
		r := &machineRole{ask: func(context.Context) (metadata.Keys, error) {
			if asked++; fail != nil {
				return metadata.Keys{}, fail
			}
			return metadata.Keys{Access: fmt.Sprint("A", asked), Secret: "s", Session: "t", Expires: time.Now().Add(time.Hour)}, nil
		}}
		step := func(after time.Duration, failing error, access string, times int) {
			t.Helper()
			time.Sleep(after)
			fail = failing
			keys, err := r.Retrieve(t.Context())
			if err != nil || keys.AccessKeyID != access || asked != times || r.known() != (access != "") {
				t.Errorf("%+v, %v, asked %d times; want %q, %d times", keys, err, asked, access, times)
			}
		}
		broken := errors.New("it answered 500")
		away := fmt.Errorf("ask: %w", metadata.ErrAway)
		step(0, nil, "A1", 1)
		step(54*time.Minute, nil, "A1", 1)
		step(2*time.Minute, broken, "A1", 2)     // they are good for 4 minutes more
		step(10*time.Second, broken, "A1", 2)    // and not asked for at once
		step(30*time.Second, away, "A1", 3)      //
		step(time.Minute, nil, "A4", 4)          //
		step(2*time.Hour, away, "", 5)           // they have ended
		step(59*time.Second, nil, "", 5)         //
		step(2*time.Second, nil, "A6", 6)        // the role is there now
		step(time.Hour, metadata.ErrNone, "", 7) // it was taken away
		time.Sleep(time.Minute)
		fail = broken
		if keys, err := r.Retrieve(t.Context()); !isClass(err, git.Credentials) || !strings.Contains(err.Error(), "the machine's role gives no keys: it answered 500") {
			t.Errorf("%+v, %v", keys, err)
		}
	})
}
