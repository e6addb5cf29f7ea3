package launcher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// journalLimit is the size, in bytes, past which the journal is set aside and a
// new one begun; one older file is kept.
const journalLimit = 4 << 20

// An Entry is one line of the journal: something that changed on this instance.
type Entry struct {
	Time     time.Time `json:"time"`
	Event    string    `json:"event"` // boot, phase, flip, refused, crashed, rollback, end, stop
	Phase    string    `json:"phase,omitempty"`
	Release  string    `json:"release,omitempty"`
	Revision string    `json:"revision,omitempty"`
	Attempt  int       `json:"attempt,omitempty"`
	Message  string    `json:"message,omitempty"`
}

// A Journal is the account of what happened, one JSON line an event, on disk
// before Write returns. It may be used from several goroutines.
type Journal struct {
	dir  string
	tell func() // of every line that was written; nil: nobody
	mu   sync.Mutex
	f    *os.File
}

func (j *Journal) path() string { return filepath.Join(j.dir, "journal.jsonl") }

// OpenJournal opens the journal in dir, ending a line that a crash left half written.
// The caller closes it.
func OpenJournal(dir string) (*Journal, error) {
	j := &Journal{dir: dir}
	if err := j.open(); err != nil {
		return nil, err
	}
	info, err := j.f.Stat()
	if err == nil && info.Size() > 0 {
		last := make([]byte, 1)
		if _, err = j.f.ReadAt(last, info.Size()-1); err == nil && last[0] != '\n' {
			_, err = j.f.Write([]byte{'\n'})
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open journal: %w", err), j.f.Close())
	}
	return j, nil
}

func (j *Journal) open() error {
	f, err := os.OpenFile(j.path(), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open journal: %w", err)
	}
	j.f = f
	return nil
}

// Write appends e. A zero Time is now.
func (j *Journal) Write(e Entry) error {
	if e.Time.IsZero() {
		e.Time = time.Now().UTC()
	}
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.rotate(); err != nil {
		return err
	}
	if _, err := j.f.Write(append(line, '\n')); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if err := j.f.Sync(); err != nil {
		return fmt.Errorf("write journal: %w", err)
	}
	if j.tell != nil {
		j.tell()
	}
	return nil
}

func (j *Journal) rotate() error {
	info, err := j.f.Stat()
	if err != nil {
		return fmt.Errorf("rotate journal: %w", err)
	}
	if info.Size() < journalLimit {
		return nil
	}
	if err := os.Rename(j.path(), j.path()+".1"); err != nil {
		return fmt.Errorf("rotate journal: %w", err)
	}
	if err := j.f.Close(); err != nil {
		return fmt.Errorf("rotate journal: %w", err)
	}
	return j.open()
}

// Tail returns the newest n entries, oldest first. What a crash left unreadable is passed over.
func (j *Journal) Tail(n int) ([]Entry, error) {
	var entries []Entry
	for _, path := range []string{j.path() + ".1", j.path()} {
		text, err := os.ReadFile(path) // rotate bounds it
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("read journal: %w", err)
		}
		for line := range bytes.Lines(text) {
			var e Entry
			if json.Unmarshal(line, &e) == nil {
				entries = append(entries, e)
			}
		}
	}
	return entries[max(0, len(entries)-n):], nil
}

// Close closes the file.
func (j *Journal) Close() error { return j.f.Close() }
