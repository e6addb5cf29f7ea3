package sourcetest

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"popup/datasync"
	"popup/internal/git"
	"popup/internal/meter"
	"popup/internal/tree"
)

var fileName = regexp.MustCompile(`^[0-9a-z][0-9a-z-]{1,99}$`)

func TestSourceIsWhatUpstreamIs(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		s := open(t, u.spec, datasync.SourceOptions{})
		u.set(t, u.carried(day("1")))
		one := head(t, s)
		if again := head(t, s); again != one {
			t.Errorf("nothing changed, and %s became %s", one, again)
		}
		if other := head(t, open(t, u.spec, datasync.SourceOptions{})); other != one {
			t.Errorf("another asked, and %s became %s", one, other)
		}
		if !fileName.MatchString(string(one)) {
			t.Errorf("%q is not safe as the name of a folder", one)
		}
		first, err := fetch(t.Context(), t, s, one, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		first.holds(t, u.carried(day("1")))

		next := u.carried(day("3")) // of the same size
		delete(next, "d/e/b")
		next["d/f"] = file{content: "new"}
		u.set(t, next)
		two := head(t, s)
		if two == one {
			t.Fatal("the content changed, and the revision did not")
		}
		second, err := fetch(t.Context(), t, s, two, one, first)
		if err != nil {
			t.Fatal(err)
		}
		second.holds(t, next)
		first.holds(t, u.carried(day("1")))
		if again, err := fetch(t.Context(), t, open(t, u.spec, datasync.SourceOptions{}), two, "", nil); err != nil {
			t.Error(err)
		} else if again.index.Root() != second.index.Root() {
			t.Error("upon another tree, the same revision is not the same tree")
		}
		// An older revision is either written as it was, or is gone.
		old, err := fetch(t.Context(), t, s, one, "", nil)
		switch {
		case err == nil:
			old.holds(t, u.carried(day("1")))
		case !errors.Is(err, datasync.ErrMoved):
			t.Errorf("a revision that is gone: %v", err)
		}
	})
}

// What never was, or is no more, is never a tree that somebody might publish for another.
func TestSourceThatIsEmpty(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		s := open(t, u.spec, datasync.SourceOptions{})
		check := func(when string) {
			t.Helper()
			rev, err := s.Head(t.Context())
			if err != nil {
				if class := datasync.ErrorClass(err); class == "" || class == datasync.ErrorClass(errors.New("any other")) {
					t.Errorf("%s: the class of %v is %q", when, err, class)
				}
				return
			}
			if got, err := fetch(t.Context(), t, s, rev, "", nil); err == nil {
				got.holds(t, nil)
			}
		}
		check("before anything was there")
		if u.empties {
			u.set(t, u.carried(day("1")))
			head(t, s)
			u.set(t, nil)
			check("after all was removed")
		}
	})
}

func TestSourceWithCredentials(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		if u.closed == nil {
			if u.spec.Kind != "folder" && !strings.HasPrefix(u.spec.URL, "file:") {
				t.Fatal("it is on a network, and lets everybody in")
			}
			return // who may read a folder is not ours to decide
		}
		u.set(t, u.carried(day("1")))
		right, wrong := u.closed(t)
		spec := u.spec
		spec.CredentialsFile = filepath.Join(t.TempDir(), "credentials")
		s := open(t, spec, datasync.SourceOptions{})
		refused := func(what, text string, present bool) {
			t.Helper()
			if present {
				rotate(t, spec.CredentialsFile, text)
			}
			_, err := s.Head(t.Context())
			var known *git.Error
			if !errors.As(err, &known) || known.Class != git.Credentials {
				t.Errorf("%s: %v", what, err)
				return
			}
			for _, secret := range []string{"hush", "gone", "PRIVATE KEY"} {
				if strings.Contains(err.Error()+s.String(), secret) {
					t.Errorf("%s: %q is in %v", what, secret, err)
				}
			}
		}
		refused("no file", "", false)
		refused("empty file", "\n", true)
		refused("wrong", wrong, true)
		rotate(t, spec.CredentialsFile, right+"\n")
		rev := head(t, s)
		got, err := fetch(t.Context(), t, s, rev, "", nil)
		if err != nil {
			t.Fatal(err)
		}
		got.holds(t, u.carried(day("1")))
		refused("wrong again", wrong, true)
	})
}

func rotate(t *testing.T, file, text string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestSourceIsBounded(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		u.set(t, u.carried(day("1")))
		for what, opts := range map[string]datasync.SourceOptions{"bytes": {MaxBytes: 500_000}, "entries": {MaxFiles: 4}} {
			s := open(t, u.spec, opts)
			rev, err := s.Head(t.Context())
			if err == nil {
				err = bounded(t, s, rev, tree.Limits{Bytes: opts.MaxBytes, Files: opts.MaxFiles})
			}
			var limit *tree.LimitError
			var known *git.Error
			if !errors.As(err, &limit) || limit.What != what {
				if !errors.As(err, &known) || known.Class != git.TooLarge {
					t.Errorf("%s: %v", what, err)
				}
			}
		}
	})
}

func bounded(t *testing.T, s datasync.Source, rev datasync.Revision, limits tree.Limits) error {
	t.Helper()
	root, err := os.OpenRoot(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer closed(t, root)
	w := tree.NewWriter(root, tree.WriterOptions{Limits: limits})
	defer closed(t, w)
	return s.Fetch(t.Context(), rev, "", w)
}

// stopping ends ctx when some bytes of the answers were read.
func stopping(after int) (context.Context, func(context.Context, string, string) (net.Conn, error), func()) {
	ctx, cancel := context.WithCancel(context.Background())
	c := &counter{left: after, stop: cancel}
	return ctx, func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, address)
		return &counted{conn, c}, err
	}, c.arm
}

type counter struct {
	mu    sync.Mutex
	armed bool
	left  int
	stop  func()
}

func (c *counter) arm() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armed = true
}

type counted struct {
	net.Conn
	c *counter
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.c.mu.Lock()
	defer c.c.mu.Unlock()
	if c.c.armed {
		if c.c.left -= n; c.c.left <= 0 {
			c.c.stop()
		}
	}
	return n, err
}

func TestSourceStopsInTheMiddle(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		files := u.carried(day("1"))
		files["large"] = file{content: noise(1 << 20)}
		u.set(t, files)
		ctx, dial, arm := stopping(100_000)
		s := open(t, u.spec, datasync.SourceOptions{DialContext: dial})
		rev := head(t, s)
		if u.closed == nil { // it makes no connection that could be watched
			var cancel func()
			ctx, cancel = context.WithCancel(t.Context())
			cancel()
		}
		arm()
		began := time.Now()
		if _, err := fetch(ctx, t, s, rev, "", nil); err == nil {
			t.Fatal("fetched, though it was stopped")
		}
		if took := time.Since(began); took > 10*time.Second {
			t.Errorf("it stopped after %v", took)
		}
		got, err := fetch(t.Context(), t, s, rev, "", nil)
		if err != nil {
			t.Fatalf("after it was stopped: %v", err)
		}
		got.holds(t, files)
	})
}

// noise does not compress.
func noise(n int) string {
	x, out := uint64(1), make([]byte, n)
	for i := range out {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		out[i] = byte(x)
	}
	return string(out)
}

func TestSourceInSeveralGoroutines(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		u.set(t, u.carried(day("1")))
		s := open(t, u.spec, datasync.SourceOptions{})
		var all sync.WaitGroup
		trees := make([]*fetched, 4)
		for i := range trees {
			all.Go(func() {
				rev, err := s.Head(t.Context())
				if err == nil {
					trees[i], err = fetch(t.Context(), t, s, rev, "", nil)
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		for _, got := range trees {
			if got != nil {
				got.holds(t, u.carried(day("1")))
			}
		}
	})
}

// What a poll of a source costs is told by those that ask somebody.
func TestSourceCountsWhatItCosts(t *testing.T) {
	each(t, func(t *testing.T, u upstream) {
		u.set(t, u.carried(day("1")))
		s := open(t, u.spec, datasync.SourceOptions{})
		counts, ok := s.(interface{ Cost() meter.Cost })
		if !ok {
			if u.closed != nil {
				t.Error("it is on a network, and does not count")
			}
			return
		}
		head(t, s)
		before := counts.Cost()
		head(t, s)
		after := counts.Cost()
		in, out := after.BytesIn-before.BytesIn, after.BytesOut-before.BytesOut
		if asked := after.Requests - before.Requests; u.closed != nil && (asked != 1 && u.spec.HostKeys == nil || in == 0 || out == 0) {
			t.Errorf("a poll without news made %d requests, %d bytes in, %d out", asked, in, out)
		}
	})
}
