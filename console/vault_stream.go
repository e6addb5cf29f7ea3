package console

import (
	"bytes"
	"errors"
	"fmt"
	"hash"
	"io"
)

// announced holds what comes against what was announced.
type announced struct {
	in    Incoming
	sum   hash.Hash
	size  int64
	whole func() error // all of it came
}

func (r *announced) Read(p []byte) (int, error) {
	n, err := r.in.Body.Read(p)
	r.size += int64(n)
	r.sum.Write(p[:n]) // it never fails
	switch {
	case r.size > r.in.Size:
		return 0, notAsAnnounced("size", "more came than the %d bytes that were announced", r.in.Size)
	case !errors.Is(err, io.EOF):
		return n, err
	case r.size < r.in.Size:
		return 0, fmt.Errorf("%d of %d bytes came: %w", r.size, r.in.Size, io.ErrUnexpectedEOF)
	case !bytes.Equal(r.sum.Sum(nil), r.in.SHA256):
		return 0, notAsAnnounced("sha256", "what came is not what was announced")
	}
	if err := r.whole(); err != nil {
		return 0, err
	}
	return n, io.EOF
}

func notAsAnnounced(field, format string, args ...any) error {
	return &InputError{[]FieldError{{field, fmt.Sprintf(format, args...) + "; send it again"}}}
}

// givenBack is read from the vault, summed, and counted. It remembers that reading failed,
// which is not the archive's fault.
type givenBack struct {
	r    io.Reader
	sum  hash.Hash
	size int64
	err  error
}

func (b *givenBack) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.size += int64(n)
	b.sum.Write(p[:n]) // it never fails
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
