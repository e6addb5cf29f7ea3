package pack_test

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"fmt"
	"os"
	"testing"

	"popup/internal/pack"
	"popup/internal/tree"
)

// A shelf is a sink that holds each id against the content it came with.
type shelf struct {
	t      testing.TB
	dir    string
	has    map[tree.ID]item
	order  []tree.ID
	here   map[tree.ID]item // what thin packs are made from
	refuse error
	opened int
}

type item struct {
	kind    pack.Kind
	content []byte
}

func newShelf(t testing.TB) *shelf {
	return &shelf{t: t, dir: t.TempDir(), has: map[tree.ID]item{}, here: map[tree.ID]item{}}
}

func idOf(kind string, content []byte) tree.ID {
	return sha1.Sum(append(fmt.Appendf(nil, "%s %d\x00", kind, len(content)), content...))
}

func (s *shelf) Object(kind pack.Kind, id tree.ID, content []byte) error {
	if got := idOf(kind.String(), content); got != id {
		s.t.Errorf("a %s of %d bytes came as %s, and is %s", kind, len(content), id, got)
	}
	s.has[id] = item{kind, content}
	s.order = append(s.order, id)
	return s.refuse
}

func (s *shelf) Blob(id tree.ID, temp string, size int64) error {
	content, err := os.ReadFile(temp)
	if err != nil || int64(len(content)) != size || size <= pack.InMemory {
		s.t.Errorf("a file of %d bytes came as one of %d: %v", len(content), size, err)
	}
	return errors.Join(s.Object(pack.Blob, id, content), os.Remove(temp))
}

func (s *shelf) Temp() (*os.File, string, error) {
	f, err := os.CreateTemp(s.dir, "t")
	if err != nil {
		return nil, "", err
	}
	return f, f.Name(), nil
}

func (s *shelf) Base(id tree.ID) (pack.Base, error) {
	o, ok := s.has[id]
	if !ok {
		o, ok = s.here[id]
	}
	if !ok {
		return pack.Base{}, fmt.Errorf("open: %w", pack.ErrUnknown)
	}
	s.opened++
	return pack.Base{Kind: o.kind, Size: int64(len(o.content)), Content: bytes.NewReader(o.content),
		Close: func() error { s.opened--; return nil }}, nil
}
