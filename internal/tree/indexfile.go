package tree

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
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
	var out bytes.Buffer
	out.WriteString(indexMagic)
	var number [binary.MaxVarintLen64]byte
	put := func(n int64) { out.Write(number[:binary.PutVarint(number[:], n)]) }
	put(int64(len(x.entries)))
	before := ""
	for _, e := range x.entries {
		same := 0
		for same < len(before) && same < len(e.Path) && before[same] == e.Path[same] {
			same++
		}
		put(int64(same))
		put(int64(len(e.Path) - same))
		out.WriteString(e.Path[same:])
		put(int64(e.Mode))
		out.Write(e.ID[:])
		put(e.Size)
		put(e.Modified)
		before = e.Path
	}
	sum := sha256.Sum256(out.Bytes())
	out.Write(sum[:])
	return out.Bytes()
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
	entries, err := readEntries(bufio.NewReader(bytes.NewReader(text[len(indexMagic):body])))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrIndex, err)
	}
	return newIndex(entries), nil
}

func readEntries(r *bufio.Reader) ([]Entry, error) {
	var firstErr error
	get := func(least, most int64) int64 {
		n, err := binary.ReadVarint(r)
		if err == nil && (n < least || n > most) {
			err = errors.New("a number is out of range")
		}
		if err != nil && firstErr == nil {
			firstErr = err
		}
		if firstErr != nil {
			return 0
		}
		return n
	}
	count := get(0, mostIndex/26) // an entry has at least as many bytes
	entries := make([]Entry, 0, min(count, 1<<20))
	before := ""
	for range count {
		same, rest := get(0, int64(len(before))), get(0, maxPath)
		name := make([]byte, same+rest)
		copy(name, before[:same])
		if _, err := io.ReadFull(r, name[same:]); err != nil {
			return nil, err
		}
		e := Entry{Path: string(name), Mode: Mode(get(0, math.MaxUint32))}
		if _, err := io.ReadFull(r, e.ID[:]); err != nil {
			return nil, err
		}
		e.Size, e.Modified = get(0, math.MaxInt64), get(math.MinInt64, math.MaxInt64)
		if firstErr != nil {
			return nil, firstErr
		}
		if clean, err := Clean(e.Path); err != nil || clean != e.Path || clean == "." {
			return nil, fmt.Errorf("%s is no name of an entry", shown(e.Path))
		}
		entries = append(entries, e)
		before = e.Path
	}
	return entries, nil
}
