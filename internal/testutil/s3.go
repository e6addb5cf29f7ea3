package testutil

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// gateway is the S3 server that tests use. The Makefile installs the same one.
const gateway = "github.com/versity/versitygw/cmd/versitygw@v1.8.0"

// An S3 is a real S3 server behind a listener of this machine, with one bucket.
type S3 struct {
	URL    string
	Bucket string
	Access string
	Secret string

	t        testing.TB
	client   *s3.Client
	requests atomic.Int64
	answer   atomic.Pointer[http.HandlerFunc]
	before   atomic.Pointer[func(http.ResponseWriter, *http.Request) bool]
}

// NewS3 serves an empty bucket until the test is over.
func NewS3(t testing.TB) *S3 {
	t.Helper()
	s := &S3{Bucket: "fair", Access: "tester", Secret: "hush-hush/and+more=", t: t}
	socket := s.start(t)
	gate := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(&url.URL{Scheme: "http", Host: "s3"})
			r.Out.Host = r.In.Host // it is signed
		},
		Transport: &http.Transport{DisableCompression: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.requests.Add(1)
		if answer := s.answer.Load(); answer != nil {
			(*answer)(w, r)
			return
		}
		if before := s.before.Load(); before == nil || !(*before)(w, r) {
			gate.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	s.URL = server.URL
	s.client = s3.New(s3.Options{BaseEndpoint: aws.String(s.URL), UsePathStyle: true, Region: "us-east-1",
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: s.Access, SecretAccessKey: s.Secret}, nil
		})})
	s.do(s.client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &s.Bucket}))
	s.requests.Store(0)
	return s
}

// start runs the server on a socket, and waits until it answers there.
func (s *S3) start(t testing.TB) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "s3-") // the name of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	socket = filepath.Join(dir, "socket")
	for _, sub := range []string{"buckets", "meta"} {
		if err := os.Mkdir(filepath.Join(dir, sub), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	var said bytes.Buffer
	cmd := exec.Command(findGateway(t), "--port", socket, "--access", s.Access, "--secret", s.Secret, "--keep-alive", "--quiet",
		"posix", "--sidecar", filepath.Join(dir, "meta"), filepath.Join(dir, "buckets"))
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-ended
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			_ = conn.Close() // it was only to see whether somebody listens
			return socket
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the S3 server ended (%v): %s", err, &said)
		default:
		}
	}
	t.Fatalf("the S3 server does not listen on %s after 30 s: %s", socket, &said)
	return ""
}

// findGateway finds the server in the PATH, or in the cache beside the module,
// where it is installed when it is missing.
func findGateway(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("versitygw"); err == nil {
		return path
	}
	cache := os.Getenv("CACHE")
	if cache == "" {
		cache = filepath.Join(moduleRoot(t), ".cache")
	}
	path := filepath.Join(cache, "bin", "versitygw")
	if _, err := os.Stat(path); err == nil {
		return path
	}
	install := exec.Command("go", "install", "-trimpath", gateway)
	install.Dir = os.TempDir() // outside of the module, whose versions are not its own
	install.Env = append(os.Environ(), "GOBIN="+filepath.Dir(path), "CGO_ENABLED=0", "GOFLAGS=")
	if out, err := install.CombinedOutput(); err != nil {
		t.Fatalf("install the S3 server that is tested against (make tools-test does so, too): %v: %s", err, out)
	}
	return path
}

// moduleRoot is the folder of go.mod above the tested package's.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		} else if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			t.Fatalf("find the module above the tests: %v", err)
		}
		dir = filepath.Dir(dir)
	}
}

// Requests is how many requests were made so far.
func (s *S3) Requests() int64 { return s.requests.Load() }

// Answer has fn answer instead of the server, from now on; nil gives it its place back.
func (s *S3) Answer(fn http.HandlerFunc) {
	if fn == nil {
		s.answer.Store(nil)
		return
	}
	s.answer.Store(&fn)
}

// Before has fn see each request before the server does, from now on, and answer instead
// of it where it returns true.
func (s *S3) Before(fn func(w http.ResponseWriter, r *http.Request) bool) { s.before.Store(&fn) }

// Put uploads objects, by their keys.
func (s *S3) Put(objects map[string]string) {
	s.t.Helper()
	var all sync.WaitGroup
	failed := make(chan error, len(objects))
	few := make(chan struct{}, 8)
	for key, content := range objects {
		few <- struct{}{}
		all.Go(func() {
			_, err := s.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &s.Bucket, Key: &key, Body: strings.NewReader(content)})
			failed <- err
			<-few
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		s.do(nil, err)
	}
}

// Remove removes objects.
func (s *S3) Remove(keys ...string) {
	s.t.Helper()
	for _, key := range keys {
		s.do(s.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &s.Bucket, Key: &key}))
	}
}

// Keys lists the keys that begin with prefix.
func (s *S3) Keys(prefix string) []string {
	s.t.Helper()
	out, err := s.client.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &s.Bucket, Prefix: &prefix})
	s.do(out, err)
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// Uploads is how many uploads in parts were begun and not ended.
func (s *S3) Uploads() int {
	s.t.Helper()
	out, err := s.client.ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{Bucket: &s.Bucket})
	s.do(out, err)
	return len(out.Uploads)
}

// OpenToAll lets everybody list and read the bucket.
func (s *S3) OpenToAll() {
	s.t.Helper()
	policy := `{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":"*","Action":["s3:ListBucket","s3:GetObject"],
		"Resource":["arn:aws:s3:::` + s.Bucket + `","arn:aws:s3:::` + s.Bucket + `/*"]}]}`
	s.do(s.client.PutBucketPolicy(context.Background(), &s3.PutBucketPolicyInput{Bucket: &s.Bucket, Policy: &policy}))
}

// CloseToAll lets in only who has the keys again.
func (s *S3) CloseToAll() {
	s.t.Helper()
	s.do(s.client.DeleteBucketPolicy(context.Background(), &s3.DeleteBucketPolicyInput{Bucket: &s.Bucket}))
}

func (s *S3) do(_ any, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}
