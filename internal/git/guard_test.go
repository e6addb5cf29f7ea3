package git

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"popup/internal/meter"
)

// A hanging body sends nothing until its request is given up.
type hanging struct{ ctx context.Context }

func (h hanging) Read([]byte) (int, error) { <-h.ctx.Done(); return 0, h.ctx.Err() }
func (h hanging) Close() error             { return nil }

// answered is an answer of which at most limit bytes are taken.
func answered(t *testing.T, limit int64, body func(context.Context) io.ReadCloser) *answer {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	a := &answer{body: body(ctx), left: new(atomic.Int64), cancel: cancel}
	a.left.Store(limit)
	return a
}

func TestStalledAnswerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := answered(t, 100, func(ctx context.Context) io.ReadCloser { return hanging{ctx} })
		began := time.Now()
		_, err := io.ReadAll(body)
		if !errors.Is(err, meter.ErrStalled) || time.Since(began) != stallTimeout {
			t.Errorf("after %v: %v; want it given up after %v", time.Since(began), err, stallTimeout)
		}
		if !errors.Is(body.err, meter.ErrStalled) {
			t.Errorf("the cause is %v; want that it stalled", body.err)
		}
	})
}

// endless sends zeros for ever.
type endless struct{}

func (endless) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func TestEndlessAnswerIsGivenUp(t *testing.T) {
	body := answered(t, 1000, func(context.Context) io.ReadCloser { return io.NopCloser(endless{}) })
	n, err := io.Copy(io.Discard, body)
	if !errors.Is(err, errTooLarge) || n > 1<<20 {
		t.Errorf("read %d bytes: %v; want it given up", n, err)
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		key, value string
		want       time.Duration
	}{
		{"Retry-After", "30", 30 * time.Second},
		{"Retry-After", "-5", 0},
		{"Retry-After", "99999999999999999999", 0},
		{"Retry-After", "86400", time.Hour},
		{"Retry-After", "Fri, 01 May 2026 12:01:00 GMT", time.Minute},
		{"Retry-After", "soon", 0},
	} {
		if got := retryAfter(http.Header{c.key: {c.value}}, now); got != c.want {
			t.Errorf("%s: %s means %v; want %v", c.key, c.value, got, c.want)
		}
	}
	h := http.Header{}
	h.Set("X-RateLimit-Remaining", "0")
	h.Set("X-RateLimit-Reset", "1777636860")
	if got := retryAfter(h, time.Unix(1777636800, 0)); got != time.Minute {
		t.Errorf("a rate limit's reset means %v; want a minute", got)
	}
}

func TestConnectionIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		go func() {
			_, _ = theirs.Write(make([]byte, 100)) // until the other end is closed
		}()
		c := &watchedConn{Conn: ours, left: 50}
		n, err := io.Copy(io.Discard, c)
		if !errors.Is(err, errTooLarge) || n > 100 {
			t.Errorf("read %d bytes: %v; want it given up", n, err)
		}
		if err := errors.Join(ours.Close(), theirs.Close()); err != nil {
			t.Error(err)
		}
	})
}
