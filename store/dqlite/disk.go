//go:build dqlite

package dqlite

import (
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// lastEntry is the newest entry of the engine's log that is on the disk, or as good as;
// -1: it cannot be told. Nothing else tells it: what is read goes through whoever leads.
//
// The engine names a segment of its log after its first and its last entry, and
// one that is still written to "open-" and a number that counts up. A snapshot's
// name ends with its last entry and a time.
func lastEntry(dir string) int64 {
	files, err := os.ReadDir(dir)
	if err != nil {
		return -1
	}
	var last int64 = -1
	var open []string
	for _, f := range files {
		name := f.Name()
		switch parts := strings.Split(name, "-"); {
		case parts[0] == "open" && len(parts) == 2:
			open = append(open, name)
		case parts[0] == "snapshot" && len(parts) == 4 && !strings.Contains(parts[3], "."):
			last = max(last, number(parts[2]))
		case len(parts) == 2 && number(parts[0]) >= 0:
			last = max(last, number(parts[1]))
		}
	}
	last = max(last, 0)
	slices.SortFunc(open, func(a, b string) int { return int(number(a[5:]) - number(b[5:])) })
	for _, name := range open {
		last += entriesIn(filepath.Join(dir, name))
	}
	return last
}

// number reads decimal digits; -1: it is none.
func number(digits string) (n int64) {
	if digits == "" || len(digits) > 18 {
		return -1
	}
	for _, d := range []byte(digits) {
		if d < '0' || d > '9' {
			return -1
		}
		n = 10*n + int64(d-'0')
	}
	return n
}

const (
	segmentFormat = 1
	mostBatch     = 1 << 16 // entries; there is no such batch
)

// entriesIn counts what an open segment holds: after its format come batches, each of two
// check sums, a count, a head of 16 bytes for each entry, which ends with its size, and the
// entries. What is not written yet is zero.
func entriesIn(path string) (entries int64) {
	f, err := os.Open(path)
	if err != nil {
		return 0 // it was closed a moment ago
	}
	defer f.Close() //nolint:errcheck // it was only read
	word := make([]byte, 8)
	next := func() uint64 {
		if _, e := io.ReadFull(f, word); e != nil {
			err = errors.Join(err, e)
			return 0
		}
		return binary.LittleEndian.Uint64(word)
	}
	if next() != segmentFormat {
		return 0
	}
	for {
		sums, count := next(), next()
		if err != nil || sums == 0 || count == 0 || count > mostBatch {
			return entries
		}
		var size int64
		for range count {
			next()
			size += int64(next() >> 32)
		}
		if err != nil {
			return entries
		}
		if _, err := f.Seek((size+7)/8*8, io.SeekCurrent); err != nil {
			return entries
		}
		entries += int64(count)
	}
}
