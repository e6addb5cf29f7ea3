package process

import (
	"bytes"
	"io"
	"strings"
	"sync"
)

// tailSize is how much of a program's output is kept.
const tailSize = 64 << 10

// A tail keeps the last of what is written to it and passes all of it on.
type tail struct {
	mu     sync.Mutex
	also   io.Writer // nil: nobody else wants it
	kept   []byte    // at most twice tailSize
	cut    bool      // something was dropped before kept
	sealed bool
}

// Write never fails: a program must not be ended by who reads its output.
func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.sealed {
		return len(p), nil
	}
	t.keep(p)
	if t.also != nil {
		if _, err := t.also.Write(p); err != nil {
			t.also = nil
		}
	}
	return len(p), nil
}

func (t *tail) keep(p []byte) {
	if len(p) > tailSize {
		p = p[len(p)-tailSize:]
		t.kept, t.cut = t.kept[:0], true
	}
	if len(t.kept)+len(p) > 2*tailSize {
		t.kept = append(t.kept[:0], t.kept[len(t.kept)-tailSize:]...)
		t.cut = true
	}
	t.kept = append(t.kept, p...)
}

// seal drops all that is written from now on.
func (t *tail) seal() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sealed = true
}

// String is what was kept, from the beginning of a line where there is one.
func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	kept, cut := t.kept, t.cut
	if over := len(kept) - tailSize; over > 0 {
		kept, cut = kept[over:], true
	}
	if newline := bytes.IndexByte(kept, '\n'); cut && newline >= 0 {
		kept = kept[newline+1:]
	}
	return strings.ToValidUTF8(string(kept), "\uFFFD")
}
