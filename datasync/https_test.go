package datasync

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"popup/internal/git"
	"popup/internal/tree"
	"popup/internal/wire"
)

// tarball is a tar.gz of files.
func tarball(t *testing.T, files map[string]string) []byte {
	t.Helper()
	return gzipOf(t, tarOf(t, members(files)...))
}

func members(files map[string]string) []member {
	var all []member
	for name, content := range files {
		all = append(all, file(name, content))
	}
	return all
}

// serving answers every request by fn, and opens what it serves.
func serving(t *testing.T, fn http.HandlerFunc) (*httpsSource, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(fn)
	t.Cleanup(server.Close)
	return archiveAt(t, wire.Source{URL: server.URL + "/data.tar.gz"}), server
}

func archiveAt(t *testing.T, spec wire.Source) *httpsSource {
	t.Helper()
	spec.Kind = "https"
	s, err := NewSource(spec, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return s.(*httpsSource)
}

func wantClass(t *testing.T, err error, class git.Class, texts ...string) {
	t.Helper()
	wantText(t, err, texts...)
	var known *git.Error
	if !errors.As(err, &known) || known.Class != class {
		t.Errorf("the class of %v is not %s", err, class)
	}
}

// A poll is one small request on a connection that is kept.
func TestArchivePoll(t *testing.T) {
	content := tarball(t, map[string]string{"a": "1"})
	var asked []string
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.Header.Get("If-None-Match"))
		w.Header().Set("ETag", `W/"one"`)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(content))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	s := archiveAt(t, wire.Source{URL: server.URL + "/data.tar.gz"})
	first := head(t, s)
	before := s.Cost()
	if again := head(t, s); again != first {
		t.Errorf("%s became %s", first, again)
	}
	if got, want := strings.Join(asked, ", "), `HEAD , HEAD W/"one"`; got != want {
		t.Errorf("it asked %s; want %s", got, want)
	}
	if in := s.Cost().BytesIn - before.BytesIn; in > 310 {
		t.Errorf("a poll without news read %d bytes", in)
	}
	if got, err := fetchInto(t, s, first); err != nil || got["a"] == "" {
		t.Errorf("fetched %v, %v", got, err)
	}
	if n := connections.Load(); n != 1 {
		t.Errorf("it made %d connections", n)
	}
}

// A server that refuses HEAD is asked by GET, and what it goes on to send is not read.
func TestArchiveWhereHEADIsRefused(t *testing.T) {
	for _, status := range []int{400, 403, 405, 501} {
		var asked []string
		s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r.Method)
			if r.Method == http.MethodHead {
				w.WriteHeader(status)
				return
			}
			w.Header().Set("ETag", `"one"`)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(make([]byte, 64<<20)))
		})
		first := head(t, s)
		if again := head(t, s); again != first {
			t.Errorf("%d: %s became %s", status, first, again)
		}
		if got := strings.Join(asked, " "); got != "HEAD GET GET" {
			t.Errorf("%d: it asked %s", status, got)
		}
		if in := s.Cost().BytesIn; in > 8<<20 {
			t.Errorf("%d: two polls read %d bytes", status, in)
		}
	}
}

// A server that let nobody in for a while is asked by HEAD again.
func TestArchiveThatWasClosed(t *testing.T) {
	var asked []string
	closed := true
	s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method)
		if closed {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		w.Header().Set("ETag", `"one"`)
	})
	_, err := s.Head(t.Context())
	wantClass(t, err, git.Credentials, "403")
	closed = false
	head(t, s)
	if got := strings.Join(asked, " "); got != "HEAD GET HEAD" {
		t.Errorf("it asked %s", got)
	}
}

func TestArchiveVersions(t *testing.T) {
	header := http.Header{}
	s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
		for name := range header {
			w.Header().Set(name, header.Get(name))
		}
		if since := r.Header.Get("If-Modified-Since"); since != "" {
			t.Errorf("it asked for what was modified since %s", since)
		}
	})
	version := func(pairs ...string) Revision {
		t.Helper()
		header = http.Header{}
		for i := 0; i < len(pairs); i += 2 {
			header.Set(pairs[i], pairs[i+1])
		}
		return head(t, s)
	}
	may, june := "Fri, 01 May 2026 12:00:00 GMT", "Mon, 01 Jun 2026 12:00:00 GMT"
	strong, weak := version("ETag", `"x"`), version("ETag", `W/"x"`)
	if strong != weak {
		t.Error("a proxy that weakens the ETag makes another version")
	}
	all := map[Revision]string{}
	for name, rev := range map[string]Revision{"x": strong, "y": version("ETag", `"y"`), "june": version("Last-Modified", june, "Content-Length", "7"),
		"may, which is older": version("Last-Modified", may, "Content-Length", "7"), "longer": version("Last-Modified", may, "Content-Length", "8")} {
		if other, taken := all[rev]; taken {
			t.Errorf("%s and %s are the same version", name, other)
		}
		if all[rev] = name; !rev.valid() || !strings.HasPrefix(string(rev), "http-") {
			t.Errorf("%s is %q", name, rev)
		}
	}
	header = http.Header{"Content-Length": {"7"}}
	_, err := s.Head(t.Context())
	wantClass(t, err, git.Other, "look at http://127.0.0.1:", "does not say which version it has")
}

func TestArchiveThatMovesOn(t *testing.T) {
	var etag atomic.Pointer[string]
	one, two := `"one"`, `"two"`
	etag.Store(&one)
	s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", *etag.Load())
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(tarball(t, map[string]string{"a": "1"})))
	})
	rev := head(t, s)
	etag.Store(&two)
	if _, err := fetchInto(t, s, rev); !errors.Is(err, ErrMoved) {
		t.Errorf("got %v; want that it moved on", err)
	}
}

func TestArchiveAnswers(t *testing.T) {
	for _, c := range []struct {
		status int
		after  string
		class  git.Class
		retry  time.Duration
		want   string
	}{
		{401, "", git.Credentials, 0, "the server does not let us read it (401); check the address"},
		{403, "", git.Credentials, 0, "the server does not let us read it (403)"},
		{404, "", classNotFound, 0, "there is nothing at that address; check the address"},
		{410, "", classNotFound, 0, "there is nothing at that address"},
		{429, "120", git.RateLimited, 2 * time.Minute, "the server asks us to come less often"},
		{503, "999999", git.RateLimited, time.Hour, "the server asks us to come less often"},
		{500, "soon", git.Other, 0, "the server answered 500 Internal Server Error"},
		{206, "", git.Other, 0, "the server answered 206 Partial Content"},
		{304, "", git.Other, 0, "the server answered 304 Not Modified"}, // nobody asked it
	} {
		s, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.after)
			w.WriteHeader(c.status)
		})
		_, err := s.Head(t.Context())
		wantClass(t, err, c.class, c.want, "look at http://127.0.0.1:")
		var known *git.Error
		if errors.As(err, &known) && known.RetryAfter() != c.retry {
			t.Errorf("%d: come again after %v; want %v", c.status, known.RetryAfter(), c.retry)
		}
		if _, err := fetchInto(t, s, "http-x"); err == nil {
			t.Errorf("%d: fetched", c.status)
		}
	}
}

// What the network broke may be tried again; an archive that is broken is refused.
func TestArchiveThatBreaks(t *testing.T) {
	whole := tarball(t, map[string]string{"a": strings.Repeat("0123456789", 1000), "b": "2"})
	for name, c := range map[string]struct {
		body  []byte
		said  int // Content-Length
		class git.Class
		want  string
	}{
		"broken off":  {whole[:len(whole)-20], len(whole), git.Unreachable, "the server hung up"},
		"half of it":  {whole[:len(whole)-20], len(whole) - 20, git.Content, "the archive is truncated"},
		"a page":      {[]byte("<html><body>sign in</body></html>"), 33, git.Content, "it is not an archive that is read here"},
		"nothing":     {nil, 0, git.Content, "it is empty"},
		"wrong check": {append(whole[:len(whole)-8:len(whole)-8], "12345678"...), len(whole), git.Content, "gzip: invalid checksum"},
	} {
		s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			w.Header().Set("Content-Length", fmt.Sprint(c.said))
			if r.Method == http.MethodGet {
				_, _ = w.Write(c.body)
			}
		})
		_, err := fetchInto(t, s, head(t, s))
		wantClass(t, err, c.class, c.want)
		var known *git.Error
		if errors.As(err, &known) && known.Retry != (c.class != git.Content) {
			t.Errorf("%s: try again is %v", name, known.Retry)
		}
	}
}

// A stream that unpacks to nothing has no end that limits of the tree would find.
func TestArchiveWithoutEnd(t *testing.T) {
	nothing := append([]byte("\x50\x2a\x4d\x18\x00\x00\x01\x00"), make([]byte, 1<<16)...) // a frame that zstd skips
	for name, c := range map[string]struct{ start, more []byte }{
		"zip":  {[]byte("PK\x03\x04"), make([]byte, 1<<16)},
		"zstd": {zstdOf(t, []byte{0}), nothing},
	} {
		s, _ := serving(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"one"`)
			_, err := w.Write(c.start)
			for r.Method == http.MethodGet && err == nil {
				_, err = w.Write(c.more)
			}
		})
		s.limits = tree.Limits{Bytes: 1 << 20, Files: 10}
		_, err := fetchInto(t, s, head(t, s))
		wantClass(t, err, git.TooLarge, "it holds more than 1 MiB")
		if in := s.Cost().BytesIn; in > 16<<20 {
			t.Errorf("%s: it read %d bytes", name, in)
		}
	}
}

func TestArchiveAddresses(t *testing.T) {
	for url, want := range map[string]string{
		"https://u:s3cret@example.org/x.zip": "carries a user name or a password",
		"https://s3cret@example.org/x.zip":   "carries a user name or a password",
		"ftp://example.org/x.zip":            "that is not the address of an archive; write one like https://example.org/data.tar.zst",
		"https:///x.zip":                     "that is not the address of an archive",
		"https://example.org/x.zip#main":     "has a # in it",
		"://s3cret":                          "that is not the address of an archive",
		"":                                   "that is not the address of an archive",
	} {
		_, err := NewSource(wire.Source{Kind: "https", URL: url}, SourceOptions{})
		wantText(t, err, "open source: ", want)
		if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the message holds the password: %v", err)
		}
	}
	s := archiveAt(t, wire.Source{URL: "https://example.org/x.zip?X-Amz-Signature=s3cret"})
	if got := s.String(); got != "https://example.org/x.zip?..." {
		t.Errorf("it is shown as %s", got)
	}
}

// A zip is put on the disk of the tree first, and nothing of that stays.
func TestArchiveSpoolIsRemoved(t *testing.T) {
	packed := zipOf(t, file("d/a", "1"))
	s, _ := serving(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("ETag", `"one"`)
		_, _ = w.Write(packed)
	})
	dir := tempDir(t)
	if err := finished(t, dir, tree.Limits{}, func(w *tree.Writer) error { return s.Fetch(t.Context(), head(t, s), "", w) }); err != nil {
		t.Fatal(err)
	}
	if got := names(t, dir); len(got) != 1 || got[0] != "d" {
		t.Errorf("there are %v", got)
	}
}
