package datasync

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"

	"popup/internal/tree"
)

const (
	readAhead = 8         // objects that are on their way at once
	smallSize = 256 << 10 // objects up to this size are read ahead, into memory
)

// An s3Wanted is an object that must be loaded, and where it goes.
type s3Wanted struct {
	s3Object
	name string
}

// An s3Body is what became of one request that was made ahead.
type s3Body struct {
	content []byte // nil: it is too large to be read ahead
	err     error
}

// load writes what is wanted, and its ids into written. Small objects are asked for
// several at once: what they cost is mostly the way there and back.
func (s *s3Source) load(ctx context.Context, wanted []s3Wanted, w *tree.Writer, written map[s3Version]tree.ID) error {
	ctx, cancel := context.WithCancel(ctx)
	var asking sync.WaitGroup
	defer asking.Wait()
	defer cancel()
	answers := make(chan chan s3Body, readAhead-1)
	asking.Go(func() {
		for _, o := range wanted {
			answer := make(chan s3Body, 1)
			select {
			case answers <- answer:
				asking.Go(func() { answer <- s.readSmall(ctx, o.s3Object) })
			case <-ctx.Done():
				return
			}
		}
	})
	for _, o := range wanted {
		var body s3Body
		select {
		case answer := <-answers:
			body = <-answer
		case <-ctx.Done():
			return ctx.Err()
		}
		if body.err != nil {
			return body.err
		}
		id, err := s.writeOne(ctx, o, body.content, w)
		if err != nil {
			return err
		}
		written[o.s3Version] = id
	}
	return nil
}

// readSmall reads an object into memory, or leaves it where it is too large for that.
func (s *s3Source) readSmall(ctx context.Context, o s3Object) s3Body {
	if o.size > smallSize {
		return s3Body{}
	}
	body, err := s.open(ctx, o)
	if err != nil {
		return s3Body{err: err}
	}
	content, err := io.ReadAll(io.LimitReader(body, o.size+1))
	return s3Body{content, errors.Join(err, body.Close())}
}

// writeOne writes one object and returns its id.
func (s *s3Source) writeOne(ctx context.Context, o s3Wanted, content []byte, w *tree.Writer) (id tree.ID, err error) {
	var from io.Reader = bytes.NewReader(content)
	if content == nil {
		body, err := s.open(ctx, o.s3Object)
		if err != nil {
			return id, err
		}
		defer func() { err = errors.Join(err, body.Close()) }()
		from = body
	}
	sum := tree.NewHash("blob", o.size)
	if err := w.File(o.name, tree.Plain, o.size, io.TeeReader(from, sum)); err != nil {
		return id, err
	}
	return tree.ID(sum.Sum(nil)), nil
}
