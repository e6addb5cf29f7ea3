package launcher

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"popup/internal/archive"
	"popup/internal/wire"
)

// A spool is an archive on its way to the console, which wants to know its digest
// before it. Its file has no name, so that a crash leaves nothing.
type spool struct {
	file *os.File
	size int64
	sum  []byte
}

// newSpool reads r to its end. The caller closes the file.
func newSpool(ctx context.Context, dir string, r io.Reader) (s *spool, err error) {
	file, err := archive.Unnamed(dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close())
		}
	}()
	sum := sha256.New()
	size, err := io.Copy(io.MultiWriter(file, sum), archive.Within(ctx, r))
	if err != nil {
		return nil, archive.Explain(err, dir)
	}
	return &spool{file: file, size: size, sum: sum.Sum(nil)}, nil
}

func (s *spool) is(k wire.KeptArchive) bool {
	return k.Size == s.size && k.SHA256 == hex.EncodeToString(s.sum)
}

// errSilent ends a request that stands still.
var errSilent = errors.New("the console is silent")

// send sends a signed request about an archive, or with an empty name about all. With a
// nil error the console said yes, and the caller closes the body.
func (v *consoleVault) send(ctx context.Context, method, name string, s *spool) (*http.Response, error) {
	l := v.link
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{ctx: ctx, cancel: cancel, silence: v.silence}
	w.timer = time.AfterFunc(v.silence, func() { cancel(fmt.Errorf("%w for %s", errSilent, v.silence)) })
	signed := wire.Signed{Method: method, Path: wire.PathVault + name, Instance: l.instance}
	req, err := http.NewRequestWithContext(ctx, method, l.console.At(signed.Path), http.NoBody)
	if err != nil {
		return nil, w.ended(err)
	}
	if s != nil {
		signed.Digest = s.sum
		req.Header.Set("Content-Type", "application/zstd")
		req.Header.Set("Expect", "100-continue") // a no comes before the archive is sent
		req.Header.Set(wire.HeaderDigest, wire.Digest(s.sum))
		req.ContentLength = s.size
		req.GetBody = func() (io.ReadCloser, error) {
			return &watched{r: io.NewSectionReader(s.file, 0, s.size), watch: w}, nil
		}
		if s.size > 0 {
			req.Body, _ = req.GetBody() // it never fails
		}
	}
	l.sign(req, signed)
	resp, err := l.archives.Do(req)
	if err != nil {
		return nil, w.ended(err)
	}
	resp.Body = &watched{r: resp.Body, watch: w, answer: resp.Body}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		body, _ := readAnswer(resp, wire.MaxKept) // a no without its sentence is one
		return nil, refusalOf(resp, body)
	}
	return resp, nil
}

// readAnswer reads at most so many bytes of an answer, and one, and closes it.
func readAnswer(resp *http.Response, most int64) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(resp.Body, most+1))
	_ = resp.Body.Close() // it was read as far as it is wanted
	if err != nil {
		return body, fmt.Errorf("read the console's answer: %w", err)
	}
	return body, nil
}

// A watch ends a request when neither side said anything for too long.
type watch struct {
	ctx     context.Context //nolint:containedctx // it is the request's
	cancel  context.CancelCauseFunc
	timer   *time.Timer
	silence time.Duration
}

// ended ends the request, and says why it ended.
func (w *watch) ended(err error) error {
	if cause := context.Cause(w.ctx); errors.Is(cause, errSilent) {
		err = cause
	}
	w.timer.Stop()
	w.cancel(nil)
	return fmt.Errorf("ask the console: %w", err)
}

// watched is what one side says.
type watched struct {
	r      io.Reader
	watch  *watch
	answer io.Closer // the console's; nil: it is what we say
}

func (b *watched) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	if n > 0 || errors.Is(err, io.EOF) {
		b.watch.timer.Reset(b.watch.silence)
	}
	if cause := context.Cause(b.watch.ctx); err != nil && errors.Is(cause, errSilent) {
		err = cause
	}
	return n, err
}

// Close ends the request when it is the answer that is closed.
func (b *watched) Close() error {
	if b.answer == nil {
		return nil
	}
	b.watch.timer.Stop()
	defer b.watch.cancel(nil)
	return b.answer.Close()
}
