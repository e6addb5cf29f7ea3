package launcher

import (
	"bytes"
	"io"
	"log/slog"
	"sync"
)

// longestLine bounds a line of the app's in our log, in bytes; the rest of it is dropped.
const longestLine = 4 << 10

// appLog returns where a program of the app's may print: each line becomes a
// line of our log, so that whoever reads the machine's log reads the app's too.
func (a *Appliance) appLog(name string) io.Writer {
	return &lineWriter{log: a.log.With("from", name)}
}

// A lineWriter may be written by several goroutines. It never fails: a log that
// cannot be written must not stop the app.
type lineWriter struct {
	log  *slog.Logger
	mu   sync.Mutex
	line []byte
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for part := range bytes.Lines(p) {
		w.line = append(w.line, part[:min(len(part), longestLine-len(w.line))]...)
		if part[len(part)-1] != '\n' {
			continue
		}
		w.log.Info("app", "says", string(bytes.TrimRight(w.line, "\r\n")))
		w.line = w.line[:0]
	}
	return len(p), nil
}
