package launcher

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"popup/internal/atomicfile"
	"popup/internal/wire"
)

func (l layout) key() string     { return filepath.Join(filepath.Dir(l.config()), "instance.key") }
func (l layout) console() string { return filepath.Join(filepath.Dir(l.config()), "console.json") }

// consoleFacts are what an instance keeps of what its console told, so that it starts, stays
// as it is wanted, and ends without it.
type consoleFacts struct {
	Token    string            `json:"token,omitempty"` // the hash of the one it enrolled with
	Enrolled time.Time         `json:"enrolled,omitzero"`
	Settings map[string]string `json:"settings,omitempty"` // the secrets are among them
	Every    int               `json:"every,omitempty"`
	Seq      uint64            `json:"seq"` // no report has a higher number yet
	Wanted   *wire.Wanted      `json:"wanted,omitempty"`
	Release  string            `json:"release,omitempty"`  // what the console's pin holds here
	Revision string            `json:"revision,omitempty"` // the same of the data
	Restore  *wire.Restore     `json:"restore,omitempty"`  // what the state begins with, until it did
	Ended    bool              `json:"ended,omitempty"`    // it ordered the end
	Commands []done            `json:"commands,omitempty"` // the newest ones, oldest first
}

// done is a command that was accepted, and what became of it.
type done struct {
	wire.Result
	Reported bool `json:"reported,omitempty"` // the console has the result
}

// commandsKept is how many commands are remembered. One that comes again after so
// many others would be done again.
const commandsKept = 200

func (t consoleFacts) wanted() wire.Wanted {
	if t.Wanted == nil {
		return wire.Wanted{}
	}
	return *t.Wanted
}

// knows says whether a command was accepted before.
func (t consoleFacts) knows(id string) bool {
	return slices.ContainsFunc(t.Commands, func(d done) bool { return d.ID == id })
}

// kept is consoleFacts on disk, whole after any crash. It may be used from several
// goroutines; what get returns is not to be changed.
type kept struct {
	path string
	mu   sync.Mutex
	now  consoleFacts
}

// openKept reads what is kept. With an error nothing is.
func openKept(path string) (*kept, error) {
	k := &kept{path: path}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &k.now)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return k, nil
	case err != nil:
		k.now = consoleFacts{}
		return k, fmt.Errorf("read %s: %w", path, err)
	}
	return k, nil
}

func (k *kept) get() consoleFacts {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.now
}

// update changes what is kept. It is on disk when update returns without an error;
// with one nothing changed.
func (k *kept) update(change func(*consoleFacts)) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	next := k.now
	next.Commands = slices.Clone(next.Commands)
	change(&next)
	if over := len(next.Commands) - commandsKept; over > 0 {
		next.Commands = next.Commands[over:]
	}
	text, err := json.Marshal(next)
	if err != nil {
		return fmt.Errorf("keep what the console told: %w", err)
	}
	if k.path != "" { // else it is not to be on the disk any more
		if err := atomicfile.Write(k.path, append(text, '\n'), 0o600); err != nil {
			return fmt.Errorf("keep what the console told: %w", err)
		}
	}
	k.now = next
	return nil
}
