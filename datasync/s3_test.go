package datasync

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/internal/wire"
)

// keysFile is a credentials file that a server lets in.
func keysFile(t *testing.T, s *testutil.S3) string {
	t.Helper()
	keys := filepath.Join(t.TempDir(), "keys")
	if err := os.WriteFile(keys, []byte(s.Access+":"+s.Secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return keys
}

// bucketAt opens what address names on a server, signed in.
func bucketAt(t *testing.T, s *testutil.S3, address string) *s3Source {
	t.Helper()
	source, err := NewSource(wire.Source{Kind: "s3", URL: address, Endpoint: s.URL, CredentialsFile: keysFile(t, s)}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return source.(*s3Source)
}

// What did not change is taken from what is here, and only the rest is asked for.
func TestBucketFetchesWhatChanged(t *testing.T) {
	server := testutil.NewS3(t)
	files := map[string]string{}
	for i := range 30 {
		files[fmt.Sprintf("d/%d", i)] = fmt.Sprint("content ", i)
	}
	put := func(files map[string]string) {
		objects := map[string]string{}
		for name, content := range files {
			objects["x/"+name] = content
		}
		server.Put(objects)
	}
	put(files)
	s := bucketAt(t, server, "s3://fair/x/")
	publisher := openPublisher(t, tempDir(t), PublisherOptions{})
	syncer := NewSyncer(Config{Source: s, Publisher: publisher})
	stage := func() (Revision, int64) {
		t.Helper()
		before := server.Requests()
		rev, _, err := syncer.Stage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := syncer.Publish(rev); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(describe(files), listing(t, publisher.Path(rev))); diff != "" {
			t.Error(diff)
		}
		return rev, server.Requests() - before
	}
	if _, asked := stage(); asked != 31 {
		t.Errorf("the first time, it made %d requests; want a listing and 30 objects", asked)
	}
	if _, asked := stage(); asked != 1 {
		t.Errorf("without news, it made %d requests", asked)
	}
	files["d/3"], files["d/new"] = "changed", "new"
	put(map[string]string{"d/3": "changed", "d/new": "new", "d/5": "content 5"}) // the last as it was
	if _, asked := stage(); asked != 3 {
		t.Errorf("it made %d requests; want a listing and 2 objects", asked)
	}
}

func TestBucketThatMovesOn(t *testing.T) {
	server := testutil.NewS3(t)
	for name, change := range map[string]func(){
		"overwritten": func() { server.Put(map[string]string{"x/a": "3"}) },
		"removed":     func() { server.Remove("x/a") },
	} {
		server.Put(map[string]string{"x/a": "1", "x/b": "2"})
		s := bucketAt(t, server, "s3://fair/x/")
		rev := head(t, s)
		change()
		if _, err := fetchInto(t, s, rev); !errors.Is(err, ErrMoved) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := fetchInto(t, bucketAt(t, server, "s3://fair/x/"), rev); !errors.Is(err, ErrMoved) {
			t.Errorf("%s, and listed again: %v", name, err)
		}
		if _, err := fetchInto(t, s, head(t, s)); err != nil {
			t.Errorf("%s, and asked again: %v", name, err)
		}
	}
}

// A gateway that does not know If-Match sends what it has now.
func TestBucketWithoutIfMatch(t *testing.T) {
	server := testutil.NewS3(t)
	server.OpenToAll()
	server.Put(map[string]string{"x/a": "1"})
	server.Before(func(_ http.ResponseWriter, r *http.Request) bool {
		r.Header.Del("If-Match")
		return false
	})
	source, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rev := head(t, source)
	server.Put(map[string]string{"x/a": "2"})
	if _, err := fetchInto(t, source, rev); !errors.Is(err, ErrMoved) {
		t.Errorf("got %v", err)
	}
}

func TestBucketOfMoreThanAPage(t *testing.T) {
	server := testutil.NewS3(t)
	objects, want := map[string]string{}, map[string]string{}
	for i := range 1005 {
		name := fmt.Sprintf("%04d", i)
		objects["x/"+name], want[name] = name, name
	}
	server.Put(objects)
	s := bucketAt(t, server, "s3://fair/x/")
	before := server.Requests()
	rev := head(t, s)
	if asked := server.Requests() - before; asked != 2 {
		t.Errorf("a poll of 1005 objects made %d requests", asked)
	}
	got, err := fetchInto(t, s, rev)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(describe(want), got); diff != "" {
		t.Error(diff)
	}
	s.limits.Files = 1004
	_, err = s.Head(t.Context())
	wantClass(t, err, git.TooLarge, "more than 1004 entries")
}

func TestNewestArchiveOfBucket(t *testing.T) {
	server := testutil.NewS3(t)
	s := bucketAt(t, server, "s3://fair/x/day-*")
	_, err := s.Head(t.Context())
	wantClass(t, err, classEmpty, "look at s3://fair/x/day-*: there is no such archive; upload one that ends in .tar.zst")
	put := func(key, content string) Revision {
		t.Helper()
		server.Put(map[string]string{key: content})
		return head(t, s)
	}
	pack := func(content string) string { return string(tarball(t, map[string]string{"a": content})) }
	first := put("x/day-2.tar.gz", pack("2"))
	if put("x/day-3.txt", "no archive") != first || put("x/night-9.tar.gz", pack("9")) != first || put("x/day-4/deeper.tar.gz", pack("4")) != first {
		t.Error("what is not asked for made a revision")
	}
	time.Sleep(1100 * time.Millisecond) // buckets tell the time in seconds
	second := put("x/day-1.tar.gz", pack("1"))
	if second == first {
		t.Error("a newer archive made no revision")
	}
	if got, err := fetchInto(t, s, second); err != nil || !strings.HasSuffix(got["a"], " 1") {
		t.Errorf("fetched %v, %v", got, err)
	}
	if _, err := fetchInto(t, s, first); !errors.Is(err, ErrMoved) {
		t.Errorf("the older: %v", err)
	}
}

func TestNewestIsByTimeThenKey(t *testing.T) {
	at := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	object := func(key string, age time.Duration) s3Object { return s3Object{s3Version{key: key}, at.Add(-age)} }
	a := s3Address{pattern: "*"}
	for _, c := range []struct {
		objects []s3Object
		want    string
	}{
		{[]s3Object{object("a.tar", time.Hour), object("b.tar", 2*time.Hour)}, "a.tar"},
		{[]s3Object{object("b.tar", 2*time.Hour), object("a.tar", time.Hour)}, "a.tar"},
		{[]s3Object{object("a.tar", 0), object("c.tar", 0), object("b.tar", 0)}, "c.tar"},
		{[]s3Object{object("a.tar", time.Hour), object("b.txt", 0)}, "a.tar"},
	} {
		var newest []s3Object
		for _, o := range c.objects {
			newest = a.newest(newest, o)
		}
		if len(newest) != 1 || newest[0].key != c.want {
			t.Errorf("of %v, it takes %v", c.objects, newest)
		}
	}
}

// What real servers answer, besides what the one here does.
func TestBucketFaults(t *testing.T) {
	for _, c := range []struct {
		status int
		code   string
		class  git.Class
		want   string
	}{
		{404, "NoSuchBucket", classNotFound, "there is no such bucket; check its name"},
		{403, "AccessDenied", git.Credentials, "access denied; allow s3:ListBucket"},
		{403, "RequestTimeTooSkewed", git.Clock, "the server's clock and ours are more than 15 minutes apart; set this machine's clock"},
		{400, "ExpiredToken", git.Credentials, "the access key is refused; renew what is in the credentials file"},
		{503, "SlowDown", git.RateLimited, "the server asks us to come less often"},
		{503, "", git.RateLimited, "the server asks us to come less often"},
		{301, "PermanentRedirect", git.Other, `the bucket is in another region; set region to "eu-west-1"`},
		{400, "AuthorizationHeaderMalformed", git.Other, `the bucket is in another region; set region to "eu-west-1"`},
		{500, "InternalError", git.Other, "the server answered 500 InternalError: because"},
		{404, "", classNotFound, "the server answered 404"},
		{418, "Teapot", git.Other, "the server answered 418 Teapot: because"},
	} {
		var asked atomic.Int64
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked.Add(1)
			w.Header().Set("X-Amz-Bucket-Region", "eu-west-1")
			w.Header().Set("Retry-After", "120")
			w.WriteHeader(c.status)
			if c.code != "" {
				fmt.Fprintf(w, "<Error><Code>%s</Code><Message>because</Message></Error>", c.code)
			}
		}))
		s, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.Head(t.Context())
		wantClass(t, err, c.class, "look at s3://fair/x/: ", c.want)
		var known *git.Error
		if errors.As(err, &known) && known.RetryAfter() != 2*time.Minute {
			t.Errorf("%s: come again after %v", c.code, known.RetryAfter())
		}
		if asked.Load() != 1 {
			t.Errorf("%s: a poll made %d requests", c.code, asked.Load())
		}
		server.Close()
	}
}

func TestBucketThatIsNone(t *testing.T) {
	for body, want := range map[string]string{
		"<html><body>hello": "what answers there is no S3 server; check the endpoint",
		"<ListBucketResult><IsTruncated>true</IsTruncated><Contents><Key>x/a</Key><Size>1</Size></Contents></ListBucketResult>": "it knows only the first version of listing",
		"<ListBucketResult><Contents><Key>other</Key></Contents></ListBucketResult>":                                            `"other" was not asked for`,
		"<ListBucketResult><Contents><Key>x/a</Key><Size>-1</Size></Contents></ListBucketResult>":                               "has a negative size",
		"<ListBucketResult><EncodingType>url</EncodingType><Contents><Key>x/%zz</Key></Contents></ListBucketResult>":            "is no key",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, body) }))
		s, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
		if err != nil {
			t.Fatal(err)
		}
		rev, err := s.Head(t.Context())
		if err == nil {
			_, err = fetchInto(t, s, rev)
		}
		wantText(t, err, want)
		server.Close()
	}
}

func TestBucketOfAnotherName(t *testing.T) {
	server := testutil.NewS3(t)
	_, err := bucketAt(t, server, "s3://unfair/x/").Head(t.Context())
	wantClass(t, err, classNotFound, "there is no such bucket")
	s, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.Head(t.Context())
	wantClass(t, err, git.Credentials, "access denied")
}

// A server that is busy for a moment does not cost what was fetched already.
func TestBucketThatIsBusyForAMoment(t *testing.T) {
	server := testutil.NewS3(t)
	server.OpenToAll()
	server.Put(map[string]string{"x/a": "1", "x/b": "2"})
	var busy atomic.Bool
	server.Before(func(w http.ResponseWriter, r *http.Request) bool {
		if r.URL.Path != "/fair/x/b" || !busy.CompareAndSwap(true, false) {
			return false
		}
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, "<Error><Code>SlowDown</Code></Error>")
		return true
	})
	s, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/", Endpoint: server.URL}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rev := head(t, s)
	busy.Store(true)
	if _, err := fetchInto(t, s, rev); err != nil || busy.Load() {
		t.Errorf("fetched: %v", err)
	}
}

func TestBucketByEnvironment(t *testing.T) {
	server := testutil.NewS3(t)
	server.Put(map[string]string{"x/a": "1"})
	t.Setenv("AWS_ENDPOINT_URL", server.URL)
	t.Setenv("AWS_ACCESS_KEY_ID", server.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.Secret)
	s, err := NewSource(wire.Source{Kind: "s3", URL: "s3://fair/x/"}, SourceOptions{})
	if err != nil {
		t.Fatal(err)
	}
	head(t, s)
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another")
	_, err = s.Head(t.Context())
	wantClass(t, err, git.Credentials, "the access key is refused")
}

func TestCredentialsOfBuckets(t *testing.T) {
	const file = "[other]\naws_access_key_id = o\naws_secret_access_key = p\n\n# mine\n[default]\naws_access_key_id=k\nAWS_SECRET_ACCESS_KEY = s=/+\naws_session_token = t\n"
	for _, c := range []struct{ text, profile, want string }{
		{"key:se/cr+et=", "default", "key se/cr+et= "},
		{" key:secret \n", "other", "key secret "},
		{file, "default", "k s=/+ t"},
		{file, "other", "o p "},
		{file, "nobody", ""},
		{"aws_access_key_id = k\naws_secret_access_key = s", "default", "k s "},
		{"key", "default", ""},
		{"key:", "default", ""},
		{"aws_access_key_id = a:b", "default", ""},
		{"[default]\naws_access_key_id = k", "default", ""},
		{"", "default", ""},
	} {
		keys, ok := parseKeys(c.text, c.profile)
		if got := keys.AccessKeyID + " " + keys.SecretAccessKey + " " + keys.SessionToken; ok != (c.want != "") || ok && got != c.want {
			t.Errorf("%q is read as %q, %v", c.text, got, ok)
		}
	}
}

func TestBucketIsMeasuredBeforeItIsFetched(t *testing.T) {
	server := testutil.NewS3(t)
	server.Put(map[string]string{"x/a": strings.Repeat("x", 600), "x/b": strings.Repeat("y", 600)})
	s := bucketAt(t, server, "s3://fair/x/")
	s.limits = tree.Limits{Bytes: 1000, Files: 10}
	before := server.Requests()
	_, err := s.Head(t.Context())
	wantClass(t, err, git.TooLarge, "it holds more than 1000 bytes")
	if asked := server.Requests() - before; asked != 1 {
		t.Errorf("it made %d requests", asked)
	}
}
