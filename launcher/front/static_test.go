package front

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// plant writes files (a name ending in a slash is a folder, content beginning
// with -> a link) and returns the folder.
func plant(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, link := strings.CutPrefix(content, "->"); link {
			err = os.Symlink(target, path)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(content), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func static(t testing.TB, o StaticOptions) http.Handler {
	t.Helper()
	h, err := Static(o)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestStaticServesItsOwnFilesOnly(t *testing.T) {
	outside := plant(t, map[string]string{"secret.txt": "outside"})
	release := openRoot(t, plant(t, map[string]string{
		"index.html": "<h1>home</h1>", "docs/index.html": "docs", "empty/": "", "README": "plain words", "blob": "\x00\x01\x02\xff",
		".env": "SECRET=1", ".git/config": "x", "docs/.htpasswd": "x", ".well-known/security.txt": "contact", "app.yaml": "id: x", "docs/app.yaml": "its own",
		"link-in.txt": "->README", "link-out.txt": "->" + outside + "/secret.txt", "dir-out": "->" + outside, "up.txt": "->../../../../../../etc/passwd",
		"página.html": "unicode", "a b&c?.txt": "odd name", "data/covered.txt": "the release's", "data/index.html": "the release's",
	}))
	data := openRoot(t, plant(t, map[string]string{"index.html": "day 1", "day.json": "{}", "out": "->" + outside + "/secret.txt", "deep/f.txt": "deep"}))
	state := openRoot(t, plant(t, map[string]string{"photo.png": "png"}))
	h := static(t, StaticOptions{Release: release, Mounts: []Mount{
		{Path: "data", Root: data}, {Path: "data/deep/uploads", Root: state, Kind: MountState},
	}})
	for _, c := range []struct {
		path   string
		status int
		body   string // the beginning
	}{
		{"/", 200, "<h1>home"}, {"/index.html", 200, "<h1>home"}, {"//", 200, "<h1>home"}, {"/docs/", 200, "docs"}, {"/docs/../", 200, "<h1>home"},
		{"/README", 200, "plain"}, {"/README/", 404, ""}, {"/README/x", 404, ""}, {"/empty/", 404, ""}, {"/nothing", 404, ""},
		{"/.env", 404, ""}, {"/%2eenv", 404, ""}, {"/.git/config", 404, ""}, {"/docs/.htpasswd", 404, ""}, {"/docs/..%2f.env", 404, ""},
		{"/.well-known/security.txt", 200, "contact"}, {"/app.yaml", 404, ""}, {"/docs/../app.yaml", 404, ""}, {"/docs/app.yaml", 200, "its own"},
		{"/link-in.txt", 200, "plain"}, {"/link-out.txt", 404, ""}, {"/dir-out/secret.txt", 404, ""}, {"/dir-out/", 404, ""}, {"/up.txt", 404, ""},
		{"/../../../../etc/passwd", 404, ""}, {"/..%2f..%2f..%2fetc/passwd", 404, ""}, {"/p%C3%A1gina.html", 200, "unicode"}, {"/a%20b&c%3F.txt", 200, "odd"},
		{"/nul%00.txt", 404, ""}, {"/" + strings.Repeat("a", 4000), 404, ""}, {"/back\\slash", 404, ""},
		{"/data/", 200, "day 1"}, {"/data/day.json", 200, "{}"}, {"/data/covered.txt", 404, ""}, {"/data/out", 404, ""}, {"/data/deep/f.txt", 200, "deep"},
		{"/data/deep/uploads/photo.png", 200, "png"}, {"/data/../data/day.json", 200, "{}"},
	} {
		w := ask(h, "GET", "http://host"+c.path)
		if w.Code != c.status || (c.body != "" && !strings.HasPrefix(w.Body.String(), c.body)) || strings.Contains(w.Body.String(), "outside") {
			t.Errorf("%s: %d %.60q; want %d %q", c.path, w.Code, w.Body, c.status, c.body)
		}
	}
}

func TestStaticRedirectsFolders(t *testing.T) {
	h := static(t, StaticOptions{Release: openRoot(t, plant(t, map[string]string{"docs/index.html": "docs", "evil.example/index.html": "x"}))})
	for path, want := range map[string]string{
		"/docs": "/docs/", "/docs?a=b%26c": "/docs/?a=b%26c", "//evil.example": "/evil.example/", "/x/..//evil.example": "/evil.example/",
	} {
		w := ask(h, "GET", "http://host"+path)
		if w.Code != 308 || w.Header().Get("Location") != want {
			t.Errorf("%s: %d to %q, want %q", path, w.Code, w.Header().Get("Location"), want)
		}
	}
}

func TestStaticMethods(t *testing.T) {
	h := static(t, StaticOptions{Release: openRoot(t, plant(t, map[string]string{"index.html": "home"}))})
	for path, method := range map[string]string{"/": "POST", "/index.html": "DELETE"} {
		w := ask(h, method, path)
		wantStatus(t, w, 405)
		if w.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("Allow: %q", w.Header().Get("Allow"))
		}
	}
	wantStatus(t, ask(h, "OPTIONS", "/"), 204)
	if w := ask(h, "HEAD", "/"); w.Code != 200 || w.Body.Len() != 0 || w.Header().Get("Content-Length") != "4" {
		t.Errorf("HEAD: %d, %d bytes, Content-Length %q", w.Code, w.Body.Len(), w.Header().Get("Content-Length"))
	}
}

func TestPublishPath(t *testing.T) {
	dir := plant(t, map[string]string{"public/index.html": "site", "public/app.yaml": "id: x", "public/docs/app.yaml": "its own", "config.ini": "secret", "file": "x", "out": "->/tmp"})
	data := openRoot(t, plant(t, map[string]string{"day": "1"}))
	mounts := []Mount{{Path: "public/data", Root: data}, {Path: "private", Root: data}}
	h := static(t, StaticOptions{Release: openRoot(t, dir), PublishPath: "./public/", Mounts: mounts})
	for path, want := range map[string]int{"/": 200, "/app.yaml": 404, "/docs/app.yaml": 200, "/../app.yaml": 404, "/config.ini": 404, "/../config.ini": 404, "/data/day": 200, "/private/day": 404, "/../private/day": 404} {
		if w := ask(h, "GET", "http://host"+path); w.Code != want {
			t.Errorf("%s: %d, want %d", path, w.Code, want)
		}
	}
	whole := static(t, StaticOptions{Release: openRoot(t, dir), PublishPath: "private", Mounts: mounts})
	wantStatus(t, ask(whole, "GET", "/day"), 200)
}

func TestStaticOptionsAreChecked(t *testing.T) {
	dir := plant(t, map[string]string{"file": "x"})
	root := openRoot(t, dir)
	for _, c := range []struct {
		o    StaticOptions
		want string
	}{
		{StaticOptions{}, "no release is given"},
		{StaticOptions{Release: root, PublishPath: "../x"}, `publish_path "../x" points out of the release`},
		{StaticOptions{Release: root, PublishPath: "/etc"}, `publish_path "/etc" points out of the release`},
		{StaticOptions{Release: root, PublishPath: "public"}, `publish_path "public" is not in the release; give a folder that is`},
		{StaticOptions{Release: root, PublishPath: "file"}, `publish_path "file" is a file; give the folder it is in`},
		{StaticOptions{Release: root, Mounts: []Mount{{Path: "data"}}}, `mount "data": no folder is given`},
		{StaticOptions{Release: root, Mounts: []Mount{{Root: root}}}, "no path is given"},
		{StaticOptions{Release: root, Mounts: []Mount{{Path: "a/../../b", Root: root}}}, `mount "a/../../b" points out of the release`},
	} {
		if _, err := Static(c.o); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("error %v, want %q", err, c.want)
		}
	}
}

func TestETags(t *testing.T) {
	dir := plant(t, map[string]string{"a.html": "same", "b.html": "same", "c.html": "else"})
	h := static(t, StaticOptions{Release: openRoot(t, dir)})
	first := ask(h, "GET", "/a.html")
	tag := first.Header().Get("ETag")
	if len(tag) != 34 || tag[0] != '"' {
		t.Fatalf("ETag %q is not strong", tag)
	}
	for key, want := range map[string]string{"Last-Modified": "", "Cache-Control": "no-cache", "X-Content-Type-Options": "nosniff", "Content-Type": "text/html; charset=utf-8"} {
		if got := first.Header().Get(key); got != want {
			t.Errorf("%s: %q, want %q", key, got, want)
		}
	}
	if other := ask(h, "GET", "/b.html").Header().Get("ETag"); other != tag {
		t.Errorf("the same content has tags %s and %s", tag, other)
	}
	if other := ask(h, "GET", "/c.html").Header().Get("ETag"); other == tag {
		t.Error("other content has the same tag")
	}
	if w := ask(h, "GET", "/a.html", "If-None-Match", tag); w.Code != 304 || w.Body.Len() != 0 {
		t.Errorf("If-None-Match: %d, %d bytes", w.Code, w.Body.Len())
	}
	// The same size and times, another content: what a checkout with fixed times makes.
	info, err := os.Stat(filepath.Join(dir, "a.html"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "a.html"), []byte("diff"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(filepath.Join(dir, "a.html"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if w := ask(h, "GET", "/a.html", "If-None-Match", tag); w.Code != 200 || w.Body.String() != "diff" {
		t.Errorf("after a change that keeps size and time: %d %q", w.Code, w.Body)
	}
}

func TestRanges(t *testing.T) {
	h := static(t, StaticOptions{Release: openRoot(t, plant(t, map[string]string{"f.txt": strings.Repeat("0123456789", 1000)}))})
	w := ask(h, "GET", "/f.txt", "Range", "bytes=3-7", "Accept-Encoding", "gzip")
	if w.Code != 206 || w.Body.String() != "34567" || w.Header().Get("Content-Range") != "bytes 3-7/10000" || w.Header().Get("Content-Encoding") != "" {
		t.Errorf("%d %q %v", w.Code, w.Body, w.Header())
	}
	tag := w.Header().Get("ETag")
	if w := ask(h, "GET", "/f.txt", "Range", "bytes=-2", "If-Range", tag); w.Code != 206 || w.Body.String() != "89" {
		t.Errorf("If-Range with its tag: %d %q", w.Code, w.Body)
	}
	if w := ask(h, "GET", "/f.txt", "Range", "bytes=-2", "If-Range", `"other"`); w.Code != 200 || w.Body.Len() != 10000 {
		t.Errorf("If-Range with another tag: %d, %d bytes", w.Code, w.Body.Len())
	}
	wantStatus(t, ask(h, "GET", "/f.txt", "Range", "bytes=20000-"), 416)
}

func TestCompression(t *testing.T) {
	plain := strings.Repeat("words that come again and again ", 200)
	h := static(t, StaticOptions{Release: openRoot(t, plant(t, map[string]string{
		"f.html": plain, "small.html": strings.Repeat("small ", 160), "p.png": plain, "noise.txt": noise(4096), "large.txt": strings.Repeat(plain, 2000),
	}))})
	open := map[string]func(io.Reader) (io.Reader, error){
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
		"br":   func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	}
	identity := ask(h, "GET", "/f.html").Header().Get("ETag")
	for _, c := range []struct{ accept, want string }{
		{"gzip, deflate, br, zstd", "zstd"}, {"gzip, deflate, br", "br"}, {"gzip;q=1.0, br;q=0.5", "gzip"}, {"GZIP", "gzip"},
		{"", ""}, {"identity", ""}, {"gzip;q=0", ""}, {"deflate", ""}, {"gzip;q=x", ""}, {"identity;q=1, gzip;q=0.5", ""}, {"gzip;q=NaN", ""},
	} {
		for range 2 { // the second from the cache
			w := ask(h, "GET", "/f.html", "Accept-Encoding", c.accept)
			if got := w.Header().Get("Content-Encoding"); got != c.want || w.Header().Get("Vary") != "Accept-Encoding" {
				t.Fatalf("%q: encoding %q, want %q; Vary %q", c.accept, got, c.want, w.Header().Get("Vary"))
			}
			if c.want == "" {
				if w.Body.String() != plain {
					t.Errorf("%q: the body is not the file", c.accept)
				}
				continue
			}
			size, tag := w.Body.Len(), w.Header().Get("ETag")
			r, err := open[c.want](w.Body)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := io.ReadAll(r); err != nil || string(b) != plain || size >= len(plain) {
				t.Errorf("%q: %d bytes unpack to %d: %v", c.accept, size, len(b), err)
			}
			if tag == identity || !strings.HasPrefix(tag, identity[:len(identity)-1]) {
				t.Errorf("%q: tag %s beside %s", c.accept, tag, identity)
			}
			wantStatus(t, ask(h, "GET", "/f.html", "Accept-Encoding", c.accept, "If-None-Match", tag), 304)
			head := ask(h, "HEAD", "/f.html", "Accept-Encoding", c.accept)
			if head.Header().Get("ETag") != tag || head.Header().Get("Content-Length") == "" {
				t.Errorf("%q: HEAD says %v", c.accept, head.Header())
			}
		}
	}
	for _, name := range []string{"small.html", "p.png", "noise.txt", "large.txt"} {
		if w := ask(h, "GET", "/"+name, "Accept-Encoding", "gzip"); w.Code != 200 || w.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: %d, encoding %q", name, w.Code, w.Header().Get("Content-Encoding"))
		}
	}
}

// noise is text that does not become smaller.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return string(b)
}

func TestCacheIsBounded(t *testing.T) {
	c := NewCache(1000)
	for i := range 100 {
		c.put(i, i, 100)
		if _, ok := c.get(0); !ok && i < 10 {
			t.Fatalf("the item used last was forgotten at %d", i)
		}
	}
	if c.used > 1000 || len(c.items) != 10 || c.order.Len() != 10 {
		t.Errorf("%d bytes, %d items", c.used, len(c.items))
	}
	if _, ok := c.get(0); !ok {
		t.Error("the item used most was forgotten")
	}
	c.put("big", 1, 1001)
	if _, ok := c.get(0); !ok || c.used > 1000 {
		t.Error("an item above the limit drove others out")
	}
}

// What strangers uploaded is not run, not by PHP and not by a browser.
func TestStateIsDisarmed(t *testing.T) {
	dir := plant(t, map[string]string{
		"evil.html": "<script>alert(1)</script>", "evil.js": "alert(1)", "evil.svg": "<svg/>", "photo.jpg": "jpg", "note.txt": "hello",
		"LICENSE": "<html><script>alert(1)</script>", "doc.pdf": "pdf", "bids.sqlite": "db", "bids.db-wal": "db", "Bids.DB": "db", "out": "->/etc/passwd",
	})
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o644); err != nil {
		t.Fatal(err)
	}
	h := static(t, StaticOptions{
		Release: openRoot(t, plant(t, map[string]string{"index.html": "home"})),
		Mounts:  []Mount{{Path: "uploads", Root: openRoot(t, dir), Kind: MountState}},
	})
	for name, want := range map[string]string{
		"evil.html": "application/octet-stream", "evil.js": "application/octet-stream", "evil.svg": "image/svg+xml", "photo.jpg": "image/jpeg",
		"note.txt": "text/plain; charset=utf-8", "LICENSE": "text/plain; charset=utf-8", "doc.pdf": "application/pdf",
	} {
		w := ask(h, "GET", "/uploads/"+name)
		wantStatus(t, w, 200)
		if w.Header().Get("Content-Type") != want {
			t.Errorf("%s is sent as %q, want %q", name, w.Header().Get("Content-Type"), want)
		}
		if !strings.HasPrefix(w.Header().Get("Content-Security-Policy"), "sandbox; default-src 'none'") || w.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s is not in a sandbox: %v", name, w.Header())
		}
		download := strings.HasPrefix(want, "application/")
		if got := w.Header().Get("Content-Disposition") == "attachment"; got != download {
			t.Errorf("%s: downloaded %v, want %v", name, got, download)
		}
	}
	for _, name := range []string{"bids.sqlite", "bids.db-wal", "Bids.DB", "out", "pipe", ""} {
		wantStatus(t, ask(h, "GET", "/uploads/"+name), 404)
	}
}

func TestStateTagsFollowTheFile(t *testing.T) {
	dir := plant(t, map[string]string{"f.txt": "one"})
	h := static(t, StaticOptions{Release: openRoot(t, t.TempDir()), Mounts: []Mount{{Path: "s", Root: openRoot(t, dir), Kind: MountState}}})
	tag := ask(h, "GET", "/s/f.txt").Header().Get("ETag")
	wantStatus(t, ask(h, "GET", "/s/f.txt", "If-None-Match", tag), 304)
	for range 100 { // until the file system's clock has moved on
		time.Sleep(5 * time.Millisecond)
		if err := os.WriteFile(filepath.Join(dir, "f.txt"), []byte("two"), 0o644); err != nil {
			t.Fatal(err)
		}
		if w := ask(h, "GET", "/s/f.txt", "If-None-Match", tag); w.Code == 200 && w.Body.String() == "two" {
			return
		}
	}
	t.Errorf("a changed file keeps its tag %s", tag)
}

func TestClosedRootIsTroubleNotMissing(t *testing.T) {
	root := openRoot(t, plant(t, map[string]string{"index.html": "home"}))
	h := static(t, StaticOptions{Release: root})
	root.Close()
	wantStatus(t, ask(h, "GET", "/"), 500)
}

// No path, however odd, shows what is not to be shown, and none breaks the server.
func FuzzPaths(f *testing.F) {
	outside := plant(f, map[string]string{"secret": "SECRET"})
	release := openRoot(f, plant(f, map[string]string{
		"site/index.html": "home", "site/.env": "SECRET", "site/x.php": "<?php", "config": "SECRET", "app.yaml": "SECRET",
		"site/out": "->" + outside, "site/out.php": "->" + outside + "/secret",
	}))
	state := openRoot(f, plant(f, map[string]string{"x.php": "uploaded", "y.jpg": "uploaded", "b.sqlite": "SECRET", "out": "->" + outside}))
	mounts := []Mount{{Path: "site/up", Root: state, Kind: MountState}}
	plain := static(f, StaticOptions{Release: release, PublishPath: "site", Mounts: mounts})
	h, err := PHP(PHPOptions{View: "/view", Release: release, Address: "/nonexistent", PublishPath: "site", Mounts: mounts})
	if err != nil {
		f.Fatal(err)
	}
	p := h.(*php)
	for _, seed := range []string{
		"/", "/.env", "/out/secret", "/../config", "/up/x.php", "/up/y.jpg/x.php", "/x.php/up/x.php", "/x.php", "/x.php/", "/x.php/../.env", "/up/../x.php",
		"//x.php", "/x.PHP", "/out.php", "/./x.php", "/%2e%2e/config", "/x.php\x00.jpg", "\\..\\config", "/up/b.sqlite", "/../app.yaml", "x.php",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := &http.Request{Method: "GET", URL: &url.URL{Path: path}, Header: http.Header{}, Host: "h"}
		w := &probe{header: http.Header{}, limit: 1 << 20, stop: func() {}}
		plain.ServeHTTP(w, r)
		if bytes.Contains(w.body.Bytes(), []byte("SECRET")) || bytes.Contains(w.body.Bytes(), []byte("root:")) {
			t.Errorf("%q shows %q", path, &w.body)
		}
		if to := w.header.Get("Location"); to != "" && (to[0] != '/' || strings.HasPrefix(to, "//") || strings.HasPrefix(to, "/\\")) {
			t.Errorf("%q leads away, to %q", path, to)
		}
		if s, verdict := p.find(path); verdict == runScript && s.name != "site/x.php" {
			t.Errorf("%q runs %+v", path, s)
		}
	})
}
