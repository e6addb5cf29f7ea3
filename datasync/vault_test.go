package datasync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"popup/internal/archive"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/testutil/vaulttest"
	"popup/internal/wire"
)

func openVault(t *testing.T, s *testutil.S3, prefix string) archive.Vault {
	t.Helper()
	vault, err := OpenVault(wire.State{Vault: "s3://fair/" + prefix, Endpoint: s.URL, CredentialsFile: keysFile(t, s)}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return vault
}

func TestBucketVault(t *testing.T) {
	server, opened := testutil.NewS3(t), 0
	vaulttest.Run(t, vaulttest.Options{Open: func(t *testing.T) archive.Vault {
		opened++
		return openVault(t, server, fmt.Sprintf("v%d/backups", opened))
	}})
}

// What is below another folder, or has a name that is none of a vault's, is not listed.
func TestBucketVaultListsItsOwn(t *testing.T) {
	server := testutil.NewS3(t)
	server.Put(map[string]string{"v/a": "x", "v/.hidden": "x", "v/deeper/b": "x", "vb": "x", "v/": ""})
	vaulttest.Contains(t, openVault(t, server, "v/"), "a x")
}

// ones is that many bytes that differ from part to part.
type ones struct{ left, read int }

func (o *ones) Read(p []byte) (int, error) {
	if o.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), o.left)
	for i := range n {
		p[i] = byte((o.read + i) >> 16)
	}
	o.left, o.read = o.left-n, o.read+n
	return n, nil
}

// TestBucketVaultSendsInParts in little memory, and gives back what fails.
func TestBucketVaultSendsInParts(t *testing.T) {
	server := testutil.NewS3(t)
	vault := openVault(t, server, "v/")
	for _, size := range []int{firstPart - 1, firstPart, firstPart + 1, 5*firstPart + 3} {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		if err := vault.Put(t.Context(), "big", &ones{left: size}); err != nil {
			t.Fatal(err)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4*firstPart {
			t.Errorf("%d bytes: %d MiB were allocated", size, took>>20)
		}
		r, err := vault.Get(t.Context(), "big")
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		want, _ := io.ReadAll(&ones{left: size}) // it never fails
		if !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back as %d", size, len(got))
		}
	}
	broken := errors.New("the app went away")
	half := io.MultiReader(&ones{left: 2*firstPart + 1}, readerFunc(func([]byte) (int, error) { return 0, broken }))
	if err := vault.Put(t.Context(), "half", half); !errors.Is(err, broken) {
		t.Errorf("put half: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stop := io.MultiReader(&ones{left: 2 * firstPart}, readerFunc(func(p []byte) (int, error) { cancel(); return 1, nil }))
	if err := vault.Put(ctx, "half", stop); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if left := server.Uploads(); left != 0 {
		t.Errorf("%d uploads are left half-made", left)
	}
	if keys := server.Keys("v/"); len(keys) != 1 {
		t.Errorf("there are %v", keys)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// TestBucketVaultTriesAPartAgain: a line that breaks costs a part, not all of it.
func TestBucketVaultTriesAPartAgain(t *testing.T) {
	server := testutil.NewS3(t)
	failed := false
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if failed || r.URL.Query().Get("partNumber") != "2" {
			return false
		}
		failed = true
		_, _ = io.CopyN(io.Discard, r.Body, 1<<20) // half-way
		panic(http.ErrAbortHandler)
	})
	vault := openVault(t, server, "v/")
	if err := vault.Put(t.Context(), "big", &ones{left: 3 * firstPart}); err != nil || !failed {
		t.Errorf("failed %v: %v", failed, err)
	}
}

func TestBucketVaultSaysWhatIsWrong(t *testing.T) {
	server := testutil.NewS3(t)
	keys := keysFile(t, server)
	for _, c := range []struct {
		name  string
		spec  wire.State
		class git.Class
		want  string
	}{
		{"no bucket", wire.State{Vault: "s3://none/x/", CredentialsFile: keys}, classNotFound,
			"there is no such bucket; make the bucket, or check its name and the endpoint"},
		{"no credentials", wire.State{Vault: "s3://fair/x/"}, git.Credentials,
			"there is nothing to sign in with; name a credentials file, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the machine a role"},
		{"a region", wire.State{Vault: "s3://fair/x/", CredentialsFile: keys, Region: "eu-west-9"}, git.Other,
			"the bucket is in another region; set "},
		{"no file", wire.State{Vault: "s3://fair/x/", CredentialsFile: keys + "-none"}, git.Credentials, "the credentials file cannot be read"},
	} {
		c.spec.Endpoint = server.URL
		vault, err := OpenVault(c.spec, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, get := vault.Get(t.Context(), "a")
		_, list := vault.List(t.Context())
		big := vault.Put(t.Context(), "a", &ones{left: firstPart + 1})
		for verb, err := range map[string]error{"get": get, "list": list, "put": vault.Put(t.Context(), "a", strings.NewReader("x")), "put in parts": big, "delete": vault.Delete(t.Context(), "a")} {
			var known *git.Error
			if !errors.As(err, &known) || known.Class != c.class || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "https response error") {
				t.Errorf("%s: %s: %v", c.name, verb, err)
			}
		}
	}
	for address, want := range map[string]string{
		"s3://":         "names no bucket",
		"s3://a:b@c/x/": "a key or a password",
		"s3://fair/x*/": "pattern",
	} {
		if _, err := OpenVault(wire.State{Vault: address, Endpoint: server.URL}, SourceOptions{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// TestBucketVaultOfSomebodyElse may be read, and no more.
func TestBucketVaultOfSomebodyElse(t *testing.T) {
	server := testutil.NewS3(t)
	server.Answer(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/xml")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0"?><Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>`)
	})
	err := openVault(t, server, "x/").Put(t.Context(), "a", strings.NewReader("x"))
	var known *git.Error
	if !errors.As(err, &known) || known.Retry || !strings.Contains(err.Error(), "access denied: the bucket is somebody else's, or the key may not do that; allow the key in ") ||
		!strings.Contains(err.Error(), "s3:PutObject, s3:DeleteObject and s3:AbortMultipartUpload below s3://fair/x/, or name a bucket of your own") {
		t.Errorf("got %v", err)
	}
	server.Answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
	if err := openVault(t, server, "x/").Put(t.Context(), "a", strings.NewReader("x")); !errors.As(err, &known) || !known.Retry {
		t.Errorf("got %v", err)
	}
}
