package tree

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"path"
	"strings"
)

// indexMagic begins a written Index; its last digit is the version.
const indexMagic = "popup tree 1\n"

// mostIndex bounds a written Index.
const mostIndex = 256 << 20

// ErrIndex says that what was read is no Index, or was damaged.
var ErrIndex = errors.New("the index of the tree is damaged")

// Bytes is the Index as ReadIndex reads it: each entry after the one before it, a
// path without what it shares with that one's, and at the end a checksum.
func (x *Index) Bytes() []byte {
	size := x.Size()
	out := make([]byte, 0, 64*(size.Entries+2))
	out = append(out, indexMagic...)
	out = binary.AppendVarint(out, int64(size.Entries))
	before := ""
	for e := range x.All() {
		same := 0
		for same < len(before) && same < len(e.Path) && before[same] == e.Path[same] {
			same++
		}
		out = binary.AppendVarint(out, int64(same))
		out = binary.AppendVarint(out, int64(len(e.Path)-same))
		out = append(out, e.Path[same:]...)
		out = binary.AppendVarint(out, int64(e.Mode))
		out = append(out, e.ID[:]...)
		out = binary.AppendVarint(out, e.Size)
		out = binary.AppendVarint(out, e.Modified)
		before = e.Path
	}
	sum := sha256.Sum256(out)
	return append(out, sum[:]...)
}

// ReadIndex reads what Bytes made. Its error is, or wraps, ErrIndex when that was
// damaged.
func ReadIndex(from io.Reader) (*Index, error) {
	text, err := io.ReadAll(io.LimitReader(from, mostIndex+1))
	if err != nil {
		return nil, fmt.Errorf("read index: %w", err)
	}
	body := len(text) - sha256.Size
	if body < len(indexMagic) || len(text) > mostIndex || string(text[:len(indexMagic)]) != indexMagic {
		return nil, ErrIndex
	}
	if sum := sha256.Sum256(text[:body]); !bytes.Equal(sum[:], text[body:]) {
		return nil, ErrIndex
	}
	entries, err := readEntries(text[len(indexMagic):body])
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	index, i, before := newIndex(entries), 0, ""
	for e := range index.All() {
		if e != entries[i] {
			return nil, fmt.Errorf("%w: %s is out of order, or its id is not that of what it holds", ErrIndex, shown(entries[i].Path))
		}
		if e.Path == before || e.Mode.isFolder() && index.mode(e.Path) != e.Mode {
			return nil, fmt.Errorf("%w: %s is in it twice", ErrIndex, shown(e.Path))
		}
		i, before = i+1, e.Path
	}
	return index, nil
}

// mode is that of the entry that Lookup finds.
func (x *Index) mode(name string) Mode {
	e, _ := x.Lookup(name)
	return e.Mode
}

// A cursor takes an Index apart. Its first error stays.
type cursor struct {
	rest []byte
	err  error
}

var errRange = errors.New("a number is out of range")

func (c *cursor) number(least, most int64) int64 {
	n, size := binary.Varint(c.rest)
	if size <= 0 || n < least || n > most {
		c.err = cmp.Or(c.err, errRange)
	}
	if c.err != nil {
		return 0
	}
	c.rest = c.rest[size:]
	return n
}

func (c *cursor) bytes(n int64) []byte {
	if n > int64(len(c.rest)) {
		c.err = cmp.Or(c.err, io.ErrUnexpectedEOF)
	}
	if c.err != nil {
		return nil
	}
	text := c.rest[:n]
	c.rest = c.rest[n:]
	return text
}

func readEntries(text []byte) ([]Entry, error) {
	c := &cursor{rest: text}
	count := c.number(0, int64(len(text))/26) // an entry has at least as many bytes
	entries := make([]Entry, 0, count)
	dirs := map[string]bool{".": true}
	last := "."
	before := ""
	for range count {
		same := c.number(0, int64(len(before)))
		e := Entry{Path: before[:same] + string(c.bytes(c.number(0, maxPath))), Mode: Mode(c.number(0, math.MaxUint32))}
		copy(e.ID[:], c.bytes(int64(len(e.ID))))
		e.Size, e.Modified = c.number(0, math.MaxInt64), c.number(math.MinInt64, math.MaxInt64)
		if c.err != nil {
			return nil, c.err
		}
		dir := dirOf(e.Path)
		if dir != last && !dirs[dir] || partFault(path.Base(e.Path)) != "" || len(e.Path) > maxPath || strings.HasPrefix(e.Path, "./") {
			return nil, fmt.Errorf("%s is no name of an entry there", shown(e.Path))
		}
		last, before = dir, e.Path
		switch {
		case dirs[e.Path]:
			return nil, fmt.Errorf("%s is in it twice", shown(e.Path))
		case e.Mode.isFolder():
			dirs[e.Path] = true
		case !e.Mode.isFile() && !e.Mode.isLink():
			return nil, fmt.Errorf("%s has a mode that is none", shown(e.Path))
		}
		entries = append(entries, e)
	}
	if len(c.rest) > 0 {
		return nil, errors.New("something follows the last entry")
	}
	return entries, nil
}
