package local

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"

	"popup/cloud/kept"
)

const (
	// journalName is where an instance keeps its account, below its root.
	journalName = "var/lib/popup/journal/journal.jsonl"
	// journalTail is how much of it is read, in bytes: nothing long comes after the end.
	journalTail = 64 << 10
)

// A journal tells whether an instance's end came. popup writes it down before it says
// so anywhere, and does not exit by itself.
type journal struct {
	size  int64 // when it was read last
	ended bool
}

// over looks at the journal in the instance's folder again where it has changed. What
// cannot be read says nothing new.
func (j *journal) over(path string) bool {
	name := filepath.Join(rootName, journalName)
	info, err := os.Lstat(filepath.Join(path, name))
	if err != nil || info.Size() == j.size {
		return j.ended
	}
	text, err := kept.ReadTail(path, name, journalTail)
	if err != nil {
		return j.ended
	}
	j.size, j.ended = info.Size(), endedBy(text)
	return j.ended
}

// endedBy tells by the last entries of a journal whether the end came since the last
// start. The first line, and one that is being written, may be cut short.
func endedBy(text []byte) bool {
	ended := false
	for line := range bytes.Lines(text) {
		var entry struct {
			Event string `json:"event"`
		}
		if json.Unmarshal(line, &entry) != nil {
			continue
		}
		switch entry.Event {
		case "boot":
			ended = false
		case "over":
			ended = true
		}
	}
	return ended
}
