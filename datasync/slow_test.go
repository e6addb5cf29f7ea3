package datasync

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/git"
	"popup/internal/testutil"
	"popup/internal/tree"
	"popup/internal/wire"
)

// A slowLine delivers a few bytes at a time, and waits before each.
type slowLine struct {
	net.Conn
	most   int
	wait   time.Duration
	closed context.Context
	close  context.CancelFunc
}

func (l *slowLine) Read(p []byte) (int, error) {
	select {
	case <-time.After(l.wait):
		return l.Conn.Read(p[:min(len(p), l.most)])
	case <-l.closed.Done():
		return 0, net.ErrClosed
	}
}

func (l *slowLine) Close() error {
	l.close()
	return l.Conn.Close()
}

// The fault of TestPeerFault7SlowFetchGoesOn in internal/git, of archives and buckets.
// The servers are real; only the clock is not.
func TestPeerFault7SlowLoadGoesOn(t *testing.T) {
	noise := make([]byte, 8<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	archive := tarball(t, map[string]string{"noise": string(noise), "small": "1"})
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"one"`)
		w.Header().Set("Content-Length", fmt.Sprint(len(archive)))
		if r.Method == http.MethodGet {
			_, _ = w.Write(archive)
		}
	}))
	t.Cleanup(web.Close)
	bucket := testutil.NewS3(t)
	bucket.Put(map[string]string{"x/noise": string(noise), "x/small": "1"})
	keys := keysFile(t, bucket)
	for _, spec := range []wire.Source{
		{Kind: "https", URL: web.URL + "/a.tar.gz"},
		{Kind: "s3", URL: "s3://fair/x/", Endpoint: bucket.URL, CredentialsFile: keys},
	} {
		for name, c := range map[string]struct {
			most           int
			wait           time.Duration
			gives          bool
			least, longest time.Duration
		}{
			"2 KiB a second":          {2 << 10, time.Second, true, 61 * time.Minute, 3 * time.Hour},
			"a byte every 20 seconds": {1, 20 * time.Second, false, 30 * time.Second, 6 * time.Minute},
			"nothing":                 {1, time.Hour, false, 30 * time.Second, 2 * time.Minute},
		} {
			t.Run(spec.Kind+"/"+name, func(t *testing.T) {
				into, now := t.TempDir(), time.Now()
				synctest.Test(t, func(t *testing.T) {
					<-time.After(time.Until(now)) // requests are signed with the time
					slow := false
					source, err := NewSource(spec, SourceOptions{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
						conn, err := new(net.Dialer).DialContext(ctx, network, address)
						if !slow || err != nil {
							return conn, err
						}
						closed, end := context.WithCancel(context.Background())
						return &slowLine{conn, c.most, c.wait, closed, end}, nil
					}})
					if err != nil {
						t.Fatal(err)
					}
					guard := guardOf(source)
					guard.base.DisableKeepAlives = true // no time passes while a real connection is waited for
					rev := head(t, source)
					slow = true
					began := time.Now()
					err = finished(t, into, tree.Limits{}, func(w *tree.Writer) error { return source.Fetch(t.Context(), rev, "", w) })
					took := time.Since(began)
					if (err == nil) != c.gives || took < c.least || took > c.longest {
						t.Errorf("it gave all: %v, after %v: %v; want it to end after %v to %v", c.gives, took, err, c.least, c.longest)
					}
					var known *git.Error
					if !c.gives && (!errors.As(err, &known) || known.Class != git.Timeout || !known.Retry) {
						t.Errorf("it is classed %+v", known)
					}
				})
			})
		}
	}
}

func guardOf(s Source) *httpGuard {
	switch s := s.(type) {
	case *httpsSource:
		return s.guard
	case *s3Source:
		return s.guard
	}
	return nil
}
