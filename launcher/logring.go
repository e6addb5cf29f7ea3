package launcher

import (
	"bytes"
	"slices"
	"sync"
)

// ringSize is how much of the newest log is kept in memory, in bytes: what it
// compresses to fits into one request, whatever it is.
const ringSize = 192 << 10

// A ring keeps the newest lines that were written to it. It may be used from
// several goroutines, and never fails.
type ring struct {
	mu   sync.Mutex
	text []byte
}

func (r *ring) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.text)+len(p) > 2*ringSize { // seldom, so that a line costs a copy of itself
		r.text = slices.Clone(newest(r.text, ringSize))
	}
	r.text = append(r.text, newest(p, ringSize)...)
	return len(p), nil
}

// lines are the newest whole lines.
func (r *ring) lines() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(newest(r.text, ringSize))
}

// newest is the end of text, from the beginning of a line on, in at most limit bytes.
func newest(text []byte, limit int) []byte {
	if len(text) <= limit {
		return text
	}
	text = text[len(text)-limit:]
	return text[bytes.IndexByte(text, '\n')+1:]
}
