package client

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"popup/web/api"
)

// zipped is a zip of files, and what a console would list of it.
func zipped(t *testing.T, files map[string]string) (text []byte, listed api.Archives) {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, contents := range files {
		w, err := z.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = io.WriteString(w, contents)
		}
		if err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256([]byte(contents))
		listed.Archives = append(listed.Archives, api.Archive{Instance: filepath.Dir(name), Name: filepath.Base(name), SHA256: hex.EncodeToString(sum[:])})
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), listed
}

// TestDownloadIsVerified: what is not what the console verified replaces nothing.
func TestDownloadIsVerified(t *testing.T) {
	good, listed := zipped(t, map[string]string{"fair-1/final.tar.zst": "the book", "fair-2/final.tar.zst": "the wall"})
	more, _ := zipped(t, map[string]string{"fair-1/final.tar.zst": "the book", "fair-2/final.tar.zst": "the wall", "fair-3/a": "came since"})
	other, _ := zipped(t, map[string]string{"fair-1/final.tar.zst": "the book", "fair-2/final.tar.zst": "the wail"})
	less, _ := zipped(t, map[string]string{"fair-1/final.tar.zst": "the book"})
	for name, test := range map[string]struct {
		body  []byte
		whole int // bytes that are promised
		says  string
	}{
		"as it is":       {good, len(good), ""},
		"with a new one": {more, len(more), ""},
		"cut short":      {good[:len(good)-10], len(good), "unexpected EOF"},
		"not a zip":      {good[:len(good)-10], len(good) - 10, "it is not whole"},
		"changed":        {bytes.Replace(good, []byte("the book"), []byte("the cook"), 1), len(good), "checksum error"},
		"another":        {other, len(other), "final.tar.zst of fair-2 is not what the console verified"},
		"one is missing": {less, len(less), "it lacks final.tar.zst of fair-2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := answering(t, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, "/archives") {
					w.Header().Set("Content-Type", "application/json")
					json.NewEncoder(w).Encode(listed)
					return
				}
				w.Header().Set("Content-Disposition", `attachment; filename="../../fair.zip"`)
				w.Header().Set("Content-Length", strconv.Itoa(test.whole))
				w.Write(test.body)
			})
			c, _ := newClient(t, p.URL)
			file := filepath.Join(t.TempDir(), "fair.zip")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			d, err := c.Download(t.Context(), "fair", file)
			kept, readErr := os.ReadFile(file)
			if readErr != nil {
				t.Fatal(readErr)
			}
			if test.says == "" {
				if err != nil || !bytes.Equal(kept, test.body) || d.Size != int64(len(test.body)) || d.File != file || len(d.Archives) != 2 {
					t.Errorf("%+v, %v", d, err)
				}
				return
			}
			if err == nil || !strings.Contains(err.Error(), test.says) || string(kept) != "before" {
				t.Errorf("it holds %d bytes: %v", len(kept), err)
			}
			if entries, _ := os.ReadDir(filepath.Dir(file)); len(entries) != 1 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

// TestNameOfADownload is never in another folder, nor one that ls hides.
func TestNameOfADownload(t *testing.T) {
	for given, want := range map[string]string{
		`attachment; filename="fair.zip"`: "fair.zip", `attachment; filename="../../etc/cron.d/x"`: "x", `attachment; filename=".bashrc"`: "archives.zip",
		`attachment; filename=".."`: "archives.zip", `attachment; filename="/"`: "archives.zip", "": "archives.zip", `attachment; filename="a/.."`: "archives.zip",
	} {
		if got := fileOf(&http.Response{Header: http.Header{"Content-Disposition": {given}}}); got != want {
			t.Errorf("%s: %q, want %q", given, got, want)
		}
	}
}

// TestDownloadCancelled leaves nothing.
func TestDownloadCancelled(t *testing.T) {
	_, listed := zipped(t, map[string]string{"fair-1/a": "b"})
	ctx, cancel := context.WithCancel(t.Context())
	p := answering(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/archives") {
			w.Header().Set("Content-Type", "application/json")
			json.NewEncoder(w).Encode(listed)
			return
		}
		w.Write(bytes.Repeat([]byte("x"), 1<<20))
		cancel()
		<-r.Context().Done()
	})
	c, _ := newClient(t, p.URL)
	dir := t.TempDir()
	if _, err := c.Download(ctx, "fair", filepath.Join(dir, "f")); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if entries, _ := os.ReadDir(dir); len(entries) != 0 {
		t.Errorf("left behind: %v", entries)
	}
}
