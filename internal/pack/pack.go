// Package pack reads a git pack as it comes: each object once, in the order sent,
// without going back. What is small goes through memory, what is large through a
// file; the pack itself is kept nowhere.
package pack

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"popup/internal/tree"
)

// A Kind is what an object is.
type Kind uint8

// The kinds, as a pack numbers them.
const (
	Commit Kind = 1
	Tree   Kind = 2
	Blob   Kind = 3
	Tag    Kind = 4

	offsetDelta Kind = 6 // what changes in an earlier object of the pack
	namedDelta  Kind = 7 // what changes in the object of an id
)

// String is the kind as git writes it.
func (k Kind) String() string {
	switch k {
	case Commit:
		return "commit"
	case Tree:
		return "tree"
	case Blob:
		return "blob"
	case Tag:
		return "tag"
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

const (
	// InMemory is the most bytes of a blob that is held in memory.
	InMemory = 1 << 20
	// mostCommits and mostEntry bound what is no blob, which is all held in memory:
	// commits and tags, and what a folder says of an entry, whose name has at most
	// 255 bytes.
	mostCommits = 16 << 20
	mostEntry   = 300
	// mostRecent bounds the objects that are remembered as bases of others.
	mostRecent = 8 << 20
)

// A Sink takes the objects of a pack, one after the other.
type Sink interface {
	// Object takes an object that is in memory. Its content may be kept, but not changed.
	Object(kind Kind, id tree.ID, content []byte) error
	// Blob takes a blob of more than InMemory bytes, in the file that Temp named;
	// the file is the Sink's from then on.
	Blob(id tree.ID, temp string, size int64) error
	// Temp makes a file, and names it. The Sink removes it when it was not taken by
	// Blob; the reader closes it.
	Temp() (*os.File, string, error)
	// Base opens an object that was taken before, or that is here already.
	// ErrUnknown: it is neither.
	Base(id tree.ID) (Base, error)
}

// A Base is an object that another one is made from.
type Base struct {
	Kind    Kind
	Size    int64
	Content io.ReaderAt
	Close   func() error // nil: nothing is to be closed
}

// ErrUnknown is what Sink.Base answers for an object that it does not have.
var ErrUnknown = errors.New("the object is not here")

// A CorruptError says that a pack is none, or was damaged.
type CorruptError struct{ Why string }

func (e *CorruptError) Error() string { return "the pack is damaged: " + e.Why }

func corrupt(format string, args ...any) error {
	return &CorruptError{fmt.Sprintf(format, args...)}
}

// Read gives sink the objects of the pack that from begins with and ends after. An
// error is a *CorruptError, a *tree.LimitError, sink's, or that of from.
func Read(ctx context.Context, from io.Reader, limits tree.Limits, sink Sink) error {
	limits = limits.OrDefault()
	r := &reader{
		in: newStream(ctx, from), sink: sink, limits: limits,
		blobs: limits.Bytes, trees: mostCommits + mostEntry*int64(limits.Files),
		recent: newRecent(mostRecent), delta: bufio.NewReaderSize(nil, 16<<10), scratch: make([]byte, 64<<10),
	}
	r.deltas = r.blobs + r.trees
	err := r.read()
	return errors.Join(r.in.cause(err), r.spool.close())
}

// An object is one of the pack that was met.
type object struct {
	offset int64 // where it begins
	id     tree.ID
	known  bool // its id is
}

type reader struct {
	in     *stream
	sink   Sink
	limits tree.Limits
	// What may still come: bytes of blobs, of deltas, and of everything else.
	blobs, deltas, trees int64

	z       inflater
	objects []object // in their order
	recent  *recent
	waiting waiting
	spool   spool
	made    result // the one that is being made
	delta   *bufio.Reader
	scratch []byte
}

func (r *reader) read() error {
	count, err := r.header()
	if err != nil {
		return err
	}
	r.objects = make([]object, 0, min(count, 1<<16))
	for range count {
		if err := r.next(); err != nil {
			return err
		}
	}
	if err := r.in.trailer(); err != nil {
		return err
	}
	if n := r.waiting.count; n > 0 {
		return corrupt("%d objects in it are changes to others that the server left out", n)
	}
	return nil
}

// header reads how many objects there are.
func (r *reader) header() (int, error) {
	var h [12]byte
	if _, err := io.ReadFull(r.in.buf, h[:]); err != nil {
		return 0, err
	}
	if string(h[:4]) != "PACK" {
		return 0, corrupt("it does not begin as one")
	}
	if version := binary.BigEndian.Uint32(h[4:]); version != 2 {
		return 0, corrupt("it has the version %d, and only 2 is read", version)
	}
	count := int64(binary.BigEndian.Uint32(h[8:]))
	// A file has a blob, and a folder a tree; the rest is the commit and tags.
	if count > 2*int64(r.limits.Files)+100 {
		return 0, &tree.LimitError{What: "entries", Limit: int64(r.limits.Files)}
	}
	return int(count), nil
}

// next reads one object, and gives it to the sink unless it has to wait for another.
func (r *reader) next() error {
	at := len(r.objects)
	r.objects = append(r.objects, object{offset: r.in.offset()})
	kind, size, err := r.in.objectHeader()
	if err != nil {
		return err
	}
	switch kind {
	case Commit, Tree, Blob, Tag:
		return r.whole(at, kind, size)
	case offsetDelta:
		back, err := r.in.distance()
		if err != nil {
			return err
		}
		return r.offsetDelta(at, size, back)
	case namedDelta:
		var id tree.ID
		if _, err := io.ReadFull(r.in.buf, id[:]); err != nil {
			return err
		}
		return r.namedDelta(at, size, id)
	}
	return corrupt("object %d has the type %d, which there is not", at+1, kind)
}

func (r *reader) whole(at int, kind Kind, size int64) error {
	if err := r.begin(kind, size); err != nil {
		return err
	}
	body, err := r.inflate(size)
	if err != nil {
		return err
	}
	if err := r.made.fill(body, r.scratch); err != nil {
		return errors.Join(err, r.made.close())
	}
	return r.finish(at)
}

// finish gives the object that was made to the sink, and then makes those that
// waited for it.
func (r *reader) finish(at int) error {
	if err := r.give(at); err != nil {
		return err
	}
	if r.waiting.count == 0 {
		return nil
	}
	return r.settle(at)
}

func (r *reader) give(at int) error {
	m := &r.made
	id, err := m.end()
	if err != nil {
		return err
	}
	r.objects[at].id, r.objects[at].known = id, true
	if m.file != nil {
		return r.sink.Blob(id, m.name, m.size)
	}
	r.recent.add(id, m.kind, m.memory)
	return r.sink.Object(m.kind, id, m.memory)
}
