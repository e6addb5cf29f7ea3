package git

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/testutil"
	"popup/internal/tree"
)

// A slowLine delivers most bytes at a time, and waits before each.
type slowLine struct {
	net.Conn
	after int // bytes until it becomes slow
	most  int
	wait  time.Duration

	once   sync.Once
	closed chan struct{}
}

func (l *slowLine) Read(p []byte) (int, error) {
	if l.after > 0 {
		n, err := l.Conn.Read(p[:min(len(p), l.after)])
		l.after -= n
		return n, err
	}
	select {
	case <-time.After(l.wait):
		return l.Conn.Read(p[:min(len(p), l.most)])
	case <-l.closed:
		return 0, net.ErrClosed
	}
}

func (l *slowLine) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Conn.Close()
}

// A checkout that took longer than some time-out began again from nothing, for ever.
// Ours goes on as long as the server sends, and ends when it only drips. The servers
// are real; only the clock is not.
func TestPeerFault7SlowFetchGoesOn(t *testing.T) {
	repo := testutil.NewRepo(t)
	noise := make([]byte, 4<<20)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(noise)
	commit := Commit(repo.Commit(map[string]string{"noise": string(noise), "d/small": "1"}))
	sshd := testutil.NewSSHServer(t)
	for scheme, target := range map[string]struct{ url, key string }{
		"http": {testutil.NewGitServer(t, filepath.Dir(repo.Dir)).URL + "/" + filepath.Base(repo.Dir), ""},
		"ssh":  {sshd.URL(repo.Dir), sshd.KeyFile},
	} {
		for name, c := range map[string]struct {
			after, most    int
			wait           time.Duration
			gives          bool
			least, longest time.Duration
		}{
			"2 KiB a second":          {most: 2 << 10, wait: time.Second, gives: true, least: 31 * time.Minute, longest: 3 * time.Hour},
			"a byte every 20 seconds": {after: 64 << 10, most: 1, wait: 20 * time.Second, least: 30 * time.Second, longest: 6 * time.Minute},
			"nothing":                 {after: 64 << 10, most: 1, wait: time.Hour, least: 30 * time.Second, longest: 31 * time.Second},
		} {
			t.Run(scheme+"/"+name, func(t *testing.T) {
				dir := t.TempDir()
				synctest.Test(t, func(t *testing.T) {
					r, err := New(target.url, Options{CredentialsFile: target.key, HostKeys: []string{sshd.HostKey},
						DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
							conn, err := new(net.Dialer).DialContext(ctx, network, address)
							return &slowLine{Conn: conn, after: c.after, most: c.most, wait: c.wait, closed: make(chan struct{})}, err
						}})
					if err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					err = fetchInto(t, r, commit, dir)
					took := time.Since(began)
					if (err == nil) != c.gives || took < c.least || took > c.longest {
						t.Errorf("it gave all: %v, after %v: %v; want it to end after %v to %v", c.gives, took, err, c.least, c.longest)
					}
					var known *Error
					if !c.gives && (!errors.As(err, &known) || known.Class != Timeout || !known.Retry) {
						t.Errorf("it is classed %+v", known)
					}
					if r.http != nil {
						r.http.CloseIdleConnections()
					}
				})
			})
		}
	}
}

func fetchInto(t *testing.T, r *Remote, commit Commit, dir string) (err error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	w := tree.NewWriter(root, tree.WriterOptions{})
	if err := r.Fetch(t.Context(), commit, "", w); err != nil {
		return err
	}
	_, err = w.Finish()
	return err
}

// A server that takes a connection and never says anything is left soon.
func TestSilentServerIsLeft(t *testing.T) {
	for _, url := range []string{"http://silent.example/r.git", "ssh://git@silent.example/r.git"} {
		synctest.Test(t, func(t *testing.T) {
			var open []io.Closer
			r, err := New(url, Options{HostKeys: []string{"silent.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIGRlXcDDDw9IYHLO4lOWHzrPMO8uyGSNdFMzzdUqDNG"},
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					ours, theirs := net.Pipe()
					go func() { _, _ = io.Copy(io.Discard, theirs) }()
					open = append(open, theirs)
					return ours, nil
				}})
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			_, err = r.Head(t.Context(), "main")
			var known *Error
			if !errors.As(err, &known) || known.Class != Timeout || time.Since(began) > headTimeout {
				t.Errorf("%s: after %v: %v", url, time.Since(began), err)
			}
			for _, c := range open {
				if err := c.Close(); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
