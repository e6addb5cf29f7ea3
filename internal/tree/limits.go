// Package tree writes, copies and fingerprints whole trees of files that a
// stranger made: nothing is written outside the folder given, no link leads out
// of it, and bytes and entries are bounded while they are written.
package tree

import (
	"fmt"
	"strconv"
)

// What a zero Limits means.
const (
	DefaultBytes = 1 << 30 // 1 GiB
	DefaultFiles = 100_000
)

// maxPath is the longest path within a tree, in bytes.
const maxPath = 1024

// Limits bound a tree.
type Limits struct {
	Bytes int64 // of all files together; 0: DefaultBytes
	Files int   // entries: files, folders and links; 0: DefaultFiles
}

// OrDefault fills in what a zero field means.
func (l Limits) OrDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = DefaultBytes
	}
	if l.Files <= 0 {
		l.Files = DefaultFiles
	}
	return l
}

// Size is how big a tree is.
type Size struct {
	Bytes   int64 // of all files together
	Entries int   // files, folders and links
	Files   int   // regular files alone
}

// A LimitError says which limit a tree is over.
type LimitError struct {
	What  string // "bytes", "entries" or "path"
	Limit int64
}

func (e *LimitError) Error() string {
	switch e.What {
	case "bytes":
		return fmt.Sprintf("it holds more than %s, which is the limit; make it smaller, or raise limits.size", Bytes(e.Limit))
	case "entries":
		return fmt.Sprintf("it holds more than %d entries, which is the limit; make it smaller, or raise limits.files", e.Limit)
	}
	return fmt.Sprintf("a path in it is longer than %d bytes; shorten the names", e.Limit)
}

// Bytes writes a number of bytes for people.
func Bytes(n int64) string {
	for _, u := range []struct {
		size int64
		name string
	}{{1 << 30, "GiB"}, {1 << 20, "MiB"}, {1 << 10, "KiB"}} {
		if n >= u.size {
			return strconv.FormatFloat(float64(n*10/u.size)/10, 'f', -1, 64) + " " + u.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// An EntryError says why an entry of a tree was refused.
type EntryError struct {
	Name string // as the stranger wrote it
	Why  string
}

func (e *EntryError) Error() string { return fmt.Sprintf("%s %s", shown(e.Name), e.Why) }

// shown quotes a name for a message, and shortens one that fills the screen.
func shown(name string) string {
	if len(name) > 120 {
		name = name[:117] + "..."
	}
	return strconv.Quote(name)
}
