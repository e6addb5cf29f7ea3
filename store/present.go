package store

import (
	"bytes"
	"errors"
	"runtime"
	"sync"
)

var (
	errNested = errors.New("use the store: a transaction is open in this goroutine; use its Tx, or wait for its end")
	errClosed = errors.New("use the store: it is closed")
)

// present knows who is in a transaction. A transaction within another would wait for
// itself for ever, or read what the outer one did not write yet.
type present struct {
	mu     sync.Mutex
	in     map[string]bool // by goroutine
	left   chan struct{}   // closed when the last one left; nil: nobody waits for it
	closed bool
}

func (p *present) enter() (leave func(), err error) {
	id := goroutine()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.in[id]:
		return nil, errNested
	case p.closed:
		return nil, errClosed
	case p.in == nil:
		p.in = map[string]bool{}
	}
	p.in[id] = true
	return func() { p.leave(id) }, nil
}

func (p *present) leave(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.in, id)
	if len(p.in) == 0 && p.left != nil {
		close(p.left)
		p.left = nil
	}
}

// close lets nobody in any more and waits until all have left. It says whether it was
// the first to.
func (p *present) close() (first bool, err error) {
	p.mu.Lock()
	if p.in[goroutine()] {
		p.mu.Unlock()
		return false, errNested
	}
	first, p.closed = !p.closed, true
	var left chan struct{}
	if first && len(p.in) > 0 {
		left = make(chan struct{})
		p.left = left
	}
	p.mu.Unlock()
	if left != nil {
		<-left
	}
	return first, nil
}

// goroutine is the number of the calling goroutine. The runtime tells it in stack
// traces alone, whose first line is "goroutine 1 [running]:".
func goroutine() string {
	line := make([]byte, 40)
	line = line[:runtime.Stack(line, false)]
	id, _, _ := bytes.Cut(bytes.TrimPrefix(line, []byte("goroutine ")), []byte(" "))
	return string(id)
}
