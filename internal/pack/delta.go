package pack

import (
	"bufio"
	"cmp"
	"errors"
	"io"
	"slices"

	"popup/internal/tree"
)

// offsetDelta makes an object from one that began so many bytes before it.
func (r *reader) offsetDelta(at int, size, back int64) error {
	want := r.objects[at].offset - back
	i, ok := slices.BinarySearchFunc(r.objects[:at], want, func(o object, offset int64) int { return cmp.Compare(o.offset, offset) })
	if !ok {
		return corrupt("object %d is made from one that begins where none does", at+1)
	}
	if !r.objects[i].known {
		return r.wait(at, size, tree.ID{}, i)
	}
	return r.namedDelta(at, size, r.objects[i].id)
}

// namedDelta makes an object from the one of an id.
func (r *reader) namedDelta(at int, size int64, id tree.ID) error {
	base, err := r.base(id)
	if errors.Is(err, ErrUnknown) {
		return r.wait(at, size, id, -1)
	}
	if err != nil {
		return err
	}
	body, err := r.inflateDelta(size)
	if err == nil {
		err = r.apply(base, body)
	}
	if err = errors.Join(err, base.close()); err != nil {
		return err
	}
	return r.finish(at)
}

// inflateDelta begins to unpack a delta. They are counted, too: one may be long and
// say little.
func (r *reader) inflateDelta(size int64) (io.Reader, error) {
	if r.deltas -= size; r.deltas < 0 {
		return nil, &tree.LimitError{What: "bytes", Limit: r.limits.Bytes}
	}
	return r.inflate(size)
}

// An origin is the object that a delta is applied to.
type origin struct {
	kind   Kind
	size   int64
	memory []byte // nil: it is read from at
	at     io.ReaderAt
	close  func() error
}

var errBaseShrank = errors.New("an object that others are made from became shorter while it was read")

func nothing() error { return nil }

// base finds an object: among those seen last, or where the sink has it.
func (r *reader) base(id tree.ID) (origin, error) {
	if o, ok := r.recent.get(id); ok {
		return origin{o.kind, int64(len(o.content)), o.content, nil, nothing}, nil
	}
	b, err := r.sink.Base(id)
	if err != nil {
		return origin{}, err
	}
	if b.Close == nil {
		b.Close = nothing
	}
	if b.Size > InMemory {
		return origin{b.Kind, b.Size, nil, b.Content, b.Close}, nil
	}
	content := make([]byte, b.Size)
	if _, err = io.ReadFull(io.NewSectionReader(b.Content, 0, b.Size), content); err == io.EOF || err == io.ErrUnexpectedEOF {
		err = errBaseShrank
	}
	if err = errors.Join(err, b.Close()); err != nil {
		return origin{}, err
	}
	r.recent.add(id, b.Kind, content)
	return origin{b.Kind, b.Size, content, nil, nothing}, nil
}

// apply makes an object from another one and what changes in it.
func (r *reader) apply(base origin, delta io.Reader) error {
	in := r.delta
	in.Reset(delta)
	from, err := varint(in, 0)
	if err != nil {
		return err
	}
	if from != base.size {
		return corrupt("an object in it is made from one of %d bytes, which has %d", from, base.size)
	}
	size, err := varint(in, 0)
	if err != nil {
		return err
	}
	if err := r.begin(base.kind, size); err != nil {
		return err
	}
	if err := r.instructions(base, in); err != nil {
		return errors.Join(err, r.made.close())
	}
	return nil
}

func (r *reader) instructions(base origin, in *bufio.Reader) error {
	for {
		op, err := in.ReadByte()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case op == 0:
			return corrupt("an object in it is made by an instruction that there is not")
		case op&0x80 == 0:
			err = r.insert(int(op), in)
		default:
			err = r.copy(op, base, in)
		}
		if err != nil {
			return err
		}
	}
}

// insert takes the next n bytes of the delta.
func (r *reader) insert(n int, in *bufio.Reader) error {
	p, err := in.Peek(n)
	if err != nil {
		return shortDelta(err)
	}
	if _, err := r.made.Write(p); err != nil {
		return err
	}
	_, err = in.Discard(n)
	return err
}

// copy takes bytes of the base: op says which bytes of where and how many follow.
func (r *reader) copy(op byte, base origin, in *bufio.Reader) error {
	var where [7]byte // four of the offset, three of the length, the lowest first
	for i := range where {
		if op&(1<<i) == 0 {
			continue
		}
		b, err := in.ReadByte()
		if err != nil {
			return shortDelta(err)
		}
		where[i] = b
	}
	offset := int64(where[0]) | int64(where[1])<<8 | int64(where[2])<<16 | int64(where[3])<<24
	n := int64(where[4]) | int64(where[5])<<8 | int64(where[6])<<16
	if n == 0 {
		n = 1 << 16
	}
	if offset+n > base.size {
		return corrupt("an object in it is made from bytes that another does not have")
	}
	if base.at == nil {
		_, err := r.made.Write(base.memory[offset : offset+n])
		return err
	}
	copied, err := io.CopyBuffer(onlyWriter{&r.made}, onlyReader{io.NewSectionReader(base.at, offset, n)}, r.scratch)
	if err == nil && copied < n {
		err = errBaseShrank
	}
	return err
}

// onlyReader hides everything but Read.
type onlyReader struct{ io.Reader }

func shortDelta(err error) error {
	if err == io.EOF {
		return corrupt("what changes in an object ends within an instruction")
	}
	return err
}
