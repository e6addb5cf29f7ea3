package sourcetest

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"popup/datasync"
	"popup/internal/testutil"
	"popup/internal/wire"
)

// A file is what a tree holds under one name.
type file struct {
	content string
	program bool
	link    string // not empty: it is a symlink
}

// An upstream is what stands behind a source.
type upstream struct {
	spec wire.Source
	set  func(t *testing.T, files map[string]file) // what it holds from now on
	// plainly: it carries neither links nor executable bits.
	plainly bool
	// closed has it let in only who has the credentials returned, in the form of a
	// credentials file; nil: it has no door.
	closed func(t *testing.T) (right, wrong string)
	// empties: it can be emptied again.
	empties bool
}

func upstreams() map[string]func(t *testing.T) upstream {
	return map[string]func(t *testing.T) upstream{
		"git over http":     gitOverHTTP,
		"git over ssh":      gitOverSSH,
		"git on disk":       gitOnDisk,
		"folder":            folder,
		"https tar.zst":     func(t *testing.T) upstream { return archive(t, "data.tar.zst") },
		"https zip":         func(t *testing.T) upstream { return archive(t, "data.zip") },
		"bucket":            bucket,
		"archive in bucket": archiveInBucket,
		"git by a relay":    gitByRelay,
	}
}

func committing(repo *testutil.GitRepo) func(*testing.T, map[string]file) {
	return func(t *testing.T, files map[string]file) {
		repo.Git("rm", "-rfq", "--ignore-unmatch", ".")
		writeFiles(t, repo.Dir, files)
		repo.CommitAll()
	}
}

func gitOverHTTP(t *testing.T) upstream {
	repo := testutil.NewRepo(t)
	server := testutil.NewGitServer(t, filepath.Dir(repo.Dir))
	return upstream{spec: wire.Source{URL: server.URL + "/upstream"}, set: committing(repo), closed: func(*testing.T) (string, string) {
		server.Require("me", "hush")
		return "me:hush", "me:gone"
	}}
}

func gitOverSSH(t *testing.T) upstream {
	repo := testutil.NewRepo(t)
	server := testutil.NewSSHServer(t)
	spec := wire.Source{URL: server.URL(repo.Dir), HostKeys: []string{server.HostKey}, CredentialsFile: server.KeyFile}
	return upstream{spec: spec, set: committing(repo), closed: func(t *testing.T) (string, string) {
		_, wrong := testutil.NewSSHKey(t)
		return readFile(t, server.KeyFile), readFile(t, wrong)
	}}
}

func gitOnDisk(t *testing.T) upstream {
	repo := testutil.NewRepo(t)
	return upstream{spec: wire.Source{URL: repo.URL()}, set: committing(repo)}
}

// gitByRelay is published anew with each change, which is fetched from there.
func gitByRelay(t *testing.T) upstream {
	repo := testutil.NewRepo(t)
	to := t.TempDir()
	web := httptest.NewServer(datasync.RelayHandler(to))
	t.Cleanup(web.Close)
	work, err := os.MkdirTemp("", "relay-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { removeTree(t, work) })
	relay, err := datasync.OpenRelay(datasync.RelayConfig{Source: wire.Source{URL: repo.URL()}, To: to, Work: work})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closed(t, relay) })
	commit := committing(repo)
	return upstream{spec: wire.Source{URL: repo.URL(), Relay: web.URL}, set: func(t *testing.T, files map[string]file) {
		commit(t, files)
		if _, err := relay.Publish(t.Context()); err != nil {
			t.Fatal(err)
		}
	}}
}

func folder(t *testing.T) upstream {
	dir := t.TempDir()
	return upstream{spec: wire.Source{Kind: "folder", URL: dir}, empties: true, set: func(t *testing.T, files map[string]file) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			if err == nil {
				err = os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		writeFiles(t, dir, files)
	}}
}

// archive is one archive behind a web server, as files are served: with an ETag.
func archive(t *testing.T, name string) upstream {
	var mu sync.Mutex
	var content []byte
	var login string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		body, login := content, login
		mu.Unlock()
		if user, password, _ := r.BasicAuth(); login != "" && user+":"+password != login {
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		if r.URL.Path != "/"+name || body == nil {
			http.NotFound(w, r)
			return
		}
		sum := sha256.Sum256(body)
		w.Header().Set("ETag", `"`+hex.EncodeToString(sum[:8])+`"`)
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	}))
	t.Cleanup(server.Close)
	return upstream{spec: wire.Source{Kind: "https", URL: server.URL + "/" + name},
		set: func(t *testing.T, files map[string]file) {
			mu.Lock()
			defer mu.Unlock()
			content = pack(t, name, files)
		},
		closed: func(*testing.T) (string, string) {
			mu.Lock()
			defer mu.Unlock()
			login = "me:hush"
			return login, "me:gone"
		}}
}

func bucket(t *testing.T) upstream {
	s := testutil.NewS3(t)
	s.OpenToAll()
	return upstream{spec: wire.Source{Kind: "s3", URL: "s3://" + s.Bucket + "/data/", Endpoint: s.URL}, plainly: true, empties: true,
		set: func(t *testing.T, files map[string]file) {
			for _, key := range s.Keys("data/") {
				if _, kept := files[key[len("data/"):]]; !kept {
					s.Remove(key)
				}
			}
			objects := map[string]string{"beside": "this is not below the prefix"}
			for name, f := range files {
				objects["data/"+name] = f.content
			}
			s.Put(objects)
		}, closed: closeBucket(s)}
}

func archiveInBucket(t *testing.T) upstream {
	s := testutil.NewS3(t)
	s.OpenToAll()
	return upstream{spec: wire.Source{Kind: "s3", URL: "s3://" + s.Bucket + "/data/day-*.tar.gz", Endpoint: s.URL},
		set: func(t *testing.T, files map[string]file) {
			s.Put(map[string]string{"data/day-1.tar.gz": string(pack(t, "x.tar.gz", files)), "data/day-2.tar.gz.sha256": "no archive", "data/other.tar.gz": "not asked for"})
		}, closed: closeBucket(s)}
}

func closeBucket(s *testutil.S3) func(*testing.T) (string, string) {
	return func(*testing.T) (string, string) {
		s.CloseToAll()
		return s.Access + ":" + s.Secret, s.Access + ":gone"
	}
}

func writeFiles(t *testing.T, dir string, files map[string]file) {
	t.Helper()
	for name, f := range files {
		path := filepath.Join(dir, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		switch {
		case err != nil:
		case f.link != "":
			err = os.Symlink(f.link, path)
		case f.program:
			err = os.WriteFile(path, []byte(f.content), 0o755)
		default:
			err = os.WriteFile(path, []byte(f.content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pack makes an archive of the kind that its name says.
func pack(t *testing.T, name string, files map[string]file) []byte {
	t.Helper()
	var out bytes.Buffer
	switch filepath.Ext(name) {
	case ".zip":
		packZip(t, &out, files)
	case ".gz":
		z := gzip.NewWriter(&out)
		packTar(t, z, files)
		closed(t, z)
	case ".zst":
		z, err := zstd.NewWriter(&out)
		if err != nil {
			t.Fatal(err)
		}
		packTar(t, z, files)
		closed(t, z)
	}
	return out.Bytes()
}

func packTar(t *testing.T, out io.Writer, files map[string]file) {
	t.Helper()
	w := tar.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		h := &tar.Header{Name: name, Mode: 0o644, Typeflag: tar.TypeReg, Size: int64(len(f.content)), Linkname: f.link}
		if f.link != "" {
			h.Typeflag, h.Size = tar.TypeSymlink, 0
		}
		if f.program {
			h.Mode = 0o755
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if f.link == "" {
			if _, err := w.Write([]byte(f.content)); err != nil {
				t.Fatal(err)
			}
		}
	}
	closed(t, w)
}

func packZip(t *testing.T, out io.Writer, files map[string]file) {
	t.Helper()
	w := zip.NewWriter(out)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f := files[name]
		h := &zip.FileHeader{Name: name, Method: zip.Deflate}
		content := f.content
		switch {
		case f.link != "":
			h.SetMode(os.ModeSymlink | 0o777)
			content = f.link
		case f.program:
			h.SetMode(0o755)
		default:
			h.SetMode(0o644)
		}
		to, err := w.CreateHeader(h)
		if err == nil {
			_, err = to.Write([]byte(content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	closed(t, w)
}

func closed(t *testing.T, c io.Closer) {
	t.Helper()
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
}
