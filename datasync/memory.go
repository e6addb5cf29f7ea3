package datasync

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"popup/internal/atomicfile"
)

// memoryName is the file beside current that outlives a restart.
const memoryName = "sync.json"

// maxRefused bounds how many refusals are remembered; the oldest are forgotten.
const maxRefused = 20

// A Refusal is a revision that is not to be served, and why.
type Refusal struct {
	Revision Revision  `json:"revision"`
	Why      string    `json:"why"`
	Class    string    `json:"class,omitempty"`
	At       time.Time `json:"at"`
	// Gate is a fingerprint of the limits that refused it; other limits may not.
	// Empty: it was refused for what it did when it ran.
	Gate string `json:"gate,omitempty"`
	// Until is when it is tried again all the same; zero: when the source goes on.
	Until time.Time `json:"until,omitzero"`
}

// A memory is what a Syncer keeps across restarts.
type memory struct {
	Held    Revision  `json:"held,omitempty"`
	Refused []Refusal `json:"refused,omitempty"`
	Extract string    `json:"extract,omitempty"` // what the newest revision was taken from
}

func readMemory(dir string) (m memory, err error) {
	text, err := os.ReadFile(filepath.Join(dir, memoryName))
	if errors.Is(err, fs.ErrNotExist) {
		return memory{}, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &m)
	}
	if err != nil {
		return memory{}, fmt.Errorf("read %s: %w", memoryName, err)
	}
	return m, nil
}

func (m memory) write(dir string) error {
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return diskFull(dir, atomicfile.Write(filepath.Join(dir, memoryName), append(text, '\n'), 0o600))
}

func (m memory) refused(rev Revision, gate string, now time.Time) (Refusal, bool) {
	for _, r := range m.Refused {
		over := !r.Until.IsZero() && now.After(r.Until)
		if r.Revision == rev && !over && (r.Gate == "" || r.Gate == gate) {
			return r, true
		}
	}
	return Refusal{}, false
}

// with and without return a memory that shares nothing with m.
func (m memory) with(r Refusal) memory {
	m = m.without(r.Revision)
	m.Refused = append(m.Refused, r)
	m.Refused = m.Refused[max(0, len(m.Refused)-maxRefused):]
	return m
}

func (m memory) without(rev Revision) memory {
	m.Refused = slices.DeleteFunc(slices.Clone(m.Refused), func(r Refusal) bool { return r.Revision == rev })
	return m
}
