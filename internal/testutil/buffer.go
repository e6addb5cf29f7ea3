package testutil

import (
	"bytes"
	"sync"
)

// A Buffer is written by several goroutines, or by a process, and read meanwhile.
type Buffer struct {
	Last int // how many bytes are kept, the last ones; 0: all

	mu sync.Mutex
	b  bytes.Buffer
}

func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.b.Write(p)
	if b.Last > 0 {
		b.b.Next(max(0, b.b.Len()-b.Last))
	}
	return n, err
}

// Bytes is a copy of what was written so far, and is kept.
func (b *Buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// String is what was written so far.
func (b *Buffer) String() string { return string(b.Bytes()) }
