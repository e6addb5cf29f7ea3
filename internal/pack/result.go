package pack

import (
	"bufio"
	"crypto/sha1" // what git names objects by; an id is only ever compared with one that was asked for
	"errors"
	"hash"
	"io"
	"os"
	"strconv"

	"popup/internal/tree"
)

// A result is the object that is being made, in memory or in a file.
type result struct {
	kind   Kind
	size   int64
	sum    hash.Hash
	memory []byte
	file   *os.File // nil: it is in memory
	name   string   // of the file
	buf    *bufio.Writer
	wrote  int64
}

// begin makes room for an object, after it was held against the limits.
func (r *reader) begin(kind Kind, size int64) error {
	left := &r.trees
	if kind == Blob {
		left = &r.blobs
	}
	if *left -= size; *left < 0 {
		if kind == Blob {
			return &tree.LimitError{What: "bytes", Limit: r.limits.Bytes}
		}
		return &tree.LimitError{What: "entries", Limit: int64(r.limits.Files)}
	}
	m := &r.made
	if m.sum == nil {
		m.sum, m.buf = sha1.New(), bufio.NewWriterSize(nil, 64<<10)
	}
	m.kind, m.size, m.wrote, m.file, m.memory = kind, size, 0, nil, nil
	m.sum.Reset()
	head := append(make([]byte, 0, 32), kind.String()...)
	m.sum.Write(append(strconv.AppendInt(append(head, ' '), size, 10), 0)) // a hash takes everything
	if kind != Blob || size <= InMemory {
		m.memory = make([]byte, 0, min(size, InMemory)) // more, only when it has come
		return nil
	}
	var err error
	if m.file, m.name, err = r.sink.Temp(); err != nil {
		return err
	}
	m.buf.Reset(io.MultiWriter(m.file, m.sum))
	return nil
}

var errTooLong = &CorruptError{"an object in it is longer than it says"}

// Write adds to the object.
func (m *result) Write(p []byte) (int, error) {
	if m.wrote += int64(len(p)); m.wrote > m.size {
		return 0, errTooLong
	}
	if m.file != nil {
		return m.buf.Write(p)
	}
	m.memory = append(m.memory, p...)
	return len(p), nil
}

// fill has all of the object come from one reader.
func (m *result) fill(from *inflater, scratch []byte) error {
	if m.file == nil && m.size <= InMemory {
		m.memory, m.wrote = m.memory[:m.size], m.size
		if _, err := io.ReadFull(from, m.memory); err != nil {
			return err
		}
		if err := from.end(); err != io.EOF {
			return err
		}
		return nil
	}
	_, err := io.CopyBuffer(onlyWriter{m}, from, scratch)
	return err
}

// onlyWriter hides everything but Write.
type onlyWriter struct{ io.Writer }

// end closes the object's file, and says what its id is.
func (m *result) end() (tree.ID, error) {
	if m.wrote != m.size {
		return tree.ID{}, errors.Join(corrupt("an object in it is shorter than it says"), m.close())
	}
	if m.file == nil {
		m.sum.Write(m.memory)
	} else if err := errors.Join(m.buf.Flush(), m.close()); err != nil {
		return tree.ID{}, err
	}
	var id tree.ID
	m.sum.Sum(id[:0])
	return id, nil
}

func (m *result) close() error {
	if m.file == nil {
		return nil
	}
	return m.file.Close()
}
