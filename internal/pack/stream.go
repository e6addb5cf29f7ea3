package pack

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha1" // a check against accidents; what an object is, its own id says
	"errors"
	"hash"
	"io"
	"math"

	"github.com/klauspost/compress/zlib"
)

// A stream is the pack: it knows how far it was read, and what the sum of all but
// the last 20 bytes is.
type stream struct {
	ctx  context.Context
	from io.Reader
	buf  *bufio.Reader // of the stream itself
	read int64
	sum  hash.Hash
	tail []byte // the last bytes, which may be the sum
	err  error  // of from
}

func newStream(ctx context.Context, from io.Reader) *stream {
	s := &stream{ctx: ctx, from: from, sum: sha1.New(), tail: make([]byte, 0, 2*sha1.Size)}
	s.buf = bufio.NewReaderSize(s, 64<<10)
	return s
}

func (s *stream) Read(p []byte) (int, error) {
	if s.err == nil {
		s.err = s.ctx.Err()
	}
	if s.err != nil {
		return 0, s.err
	}
	n, err := s.from.Read(p)
	s.err = err
	s.read += int64(n)
	s.add(p[:n])
	return n, err
}

// add sums up everything but the last bytes.
func (s *stream) add(p []byte) {
	if len(p) >= sha1.Size {
		s.sum.Write(s.tail) // a hash takes everything
		s.tail = s.tail[:0]
		s.sum.Write(p[:len(p)-sha1.Size])
		p = p[len(p)-sha1.Size:]
	}
	s.tail = append(s.tail, p...)
	if more := len(s.tail) - sha1.Size; more > 0 {
		s.sum.Write(s.tail[:more])
		s.tail = s.tail[:copy(s.tail, s.tail[more:])]
	}
}

// offset is how much of the pack was used.
func (s *stream) offset() int64 { return s.read - int64(s.buf.Buffered()) }

// trailer reads the sum, after which there is nothing.
func (s *stream) trailer() error {
	var sum [sha1.Size]byte
	if _, err := io.ReadFull(s.buf, sum[:]); err != nil {
		return err
	}
	switch _, err := s.buf.ReadByte(); {
	case err == nil:
		return corrupt("there is more after its end")
	case err != io.EOF:
		return err
	}
	if !bytes.Equal(s.sum.Sum(nil), sum[:]) {
		return corrupt("its checksum is another")
	}
	return nil
}

// cause finds why err came about: what the other side did, what came of that here,
// or what is wrong with what it sent.
func (s *stream) cause(err error) error {
	var own *CorruptError
	switch {
	case err == nil || errors.As(err, &own):
		return err
	case s.broke():
		return s.err
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return corrupt("it ends before its end")
	}
	return err
}

// broke says whether the other side did more than to end too early.
func (s *stream) broke() bool {
	return s.err != nil && s.err != io.EOF && s.err != io.ErrUnexpectedEOF
}

// objectHeader reads the type of the next object, and its size.
func (s *stream) objectHeader() (Kind, int64, error) {
	b, err := s.buf.ReadByte()
	if err != nil {
		return 0, 0, err
	}
	kind, size := Kind(b>>4&7), int64(b&0xf)
	if b&0x80 == 0 {
		return kind, size, nil
	}
	more, err := varint(s.buf, 4)
	return kind, size | more, err
}

// distance reads how far back the base of a delta begins.
func (s *stream) distance() (int64, error) {
	var back int64
	for first := true; ; first = false {
		b, err := s.buf.ReadByte()
		if err != nil {
			return 0, err
		}
		if !first {
			back++
		}
		if back > math.MaxInt64>>8 {
			return 0, corrupt("an object is made from one that is before the beginning")
		}
		if back = back<<7 | int64(b&0x7f); b&0x80 == 0 {
			return back, nil
		}
	}
}

// varint reads a number, seven bits a byte from the lowest on, and moves it up by shift.
func varint(from io.ByteReader, shift int) (int64, error) {
	var n int64
	for ; shift < 63; shift += 7 {
		b, err := from.ReadByte()
		if err != nil {
			return 0, err
		}
		if shift > 56 && int64(b&0x7f) > math.MaxInt64>>shift {
			break
		}
		if n |= int64(b&0x7f) << shift; b&0x80 == 0 {
			return n, nil
		}
	}
	return 0, corrupt("a size in it is past all numbers")
}

// An inflater reads one compressed object after the other. It gives out exactly the
// bytes that the object said it has, or an error.
type inflater struct {
	in   *stream
	z    io.ReadCloser
	left int64
	over bool
}

// inflate begins to unpack what comes next.
func (r *reader) inflate(size int64) (*inflater, error) {
	var err error
	if r.z.z == nil {
		r.z.z, err = zlib.NewReader(r.in.buf)
	} else {
		err = r.z.z.(zlib.Resetter).Reset(r.in.buf, nil)
	}
	r.z.in, r.z.left, r.z.over = r.in, size, false
	return &r.z, r.z.failed(err)
}

// failed says that what is compressed is damaged, unless there was an end of it.
func (f *inflater) failed(err error) error {
	if err == nil || err == io.EOF || err == io.ErrUnexpectedEOF || f.in.broke() {
		return err
	}
	return corrupt("an object in it does not unpack: %v", err)
}

func (f *inflater) Read(p []byte) (int, error) {
	if f.left == 0 {
		return 0, f.end()
	}
	n, err := f.z.Read(p[:min(int64(len(p)), f.left)])
	f.left -= int64(n)
	if err == io.EOF {
		if f.left > 0 {
			return n, corrupt("an object in it is shorter than it says")
		}
		f.over = true
		err = nil
	}
	return n, f.failed(err)
}

// end reads the end of what is compressed, and its checksum.
func (f *inflater) end() error {
	for !f.over {
		var one [1]byte
		n, err := f.z.Read(one[:])
		switch {
		case n > 0:
			return corrupt("an object in it is longer than it says")
		case err == io.EOF:
			f.over = true
		case err != nil:
			return f.failed(err)
		}
	}
	return io.EOF
}
