package launcher

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"popup/internal/atomicfile"
)

// facts are what an instance must still know after a reboot.
type facts struct {
	Instance   string          `json:"instance"`
	Sources    string          `json:"sources,omitempty"`    // a fingerprint of where the installed pair came from
	Postdeploy bool            `json:"postdeploy,omitempty"` // the script ran
	Ending     json.RawMessage `json:"ending,omitempty"`     // launcher/ending's own account of uptime and clock
	Archived   string          `json:"archived,omitempty"`   // the final backup's name in the vault
	Restored   string          `json:"restored,omitempty"`   // the backup that the state began with
	Sockets    string          `json:"sockets,omitempty"`    // where sockets are, when the root's path is too long for one
}

// memory keeps facts in a file that is whole after any crash. It may be used
// from several goroutines.
type memory struct {
	path string
	mu   sync.Mutex
	now  facts
}

// openMemory reads the facts in dir; an instance without any gets id, or a name
// of its own where id is empty.
func openMemory(dir, id string) (*memory, error) {
	m := &memory{path: filepath.Join(dir, factsName)}
	now, _, err := readFacts(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if id == "" {
			id = randomHex(8)
		}
		return m, m.update(func(f *facts) { f.Instance = id })
	}
	m.now = now
	return m, err
}

const factsName = "facts.json"

// readFacts reads the facts in dir, and looks at their file.
func readFacts(dir string) (now facts, info fs.FileInfo, err error) {
	path := filepath.Join(dir, factsName)
	if info, err = os.Lstat(path); err != nil {
		return now, nil, fmt.Errorf("read facts: %w", err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return now, nil, fmt.Errorf("read facts: %w", err)
	}
	if err := json.Unmarshal(text, &now); err != nil {
		return now, nil, fmt.Errorf("read facts %s: %w", path, err)
	}
	return now, info, nil
}

func (m *memory) get() facts {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.now
}

// update changes the facts; they are on disk when it returns without an error.
func (m *memory) update(change func(*facts)) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	next := m.now
	change(&next)
	text, err := json.MarshalIndent(next, "", "  ")
	if err != nil {
		return fmt.Errorf("write facts: %w", err)
	}
	if err := atomicfile.Write(m.path, append(text, '\n'), 0o600); err != nil {
		return fmt.Errorf("write facts: %w", err)
	}
	m.now = next
	return nil
}

// generatedSecrets returns a value for each name, made once on this instance and kept in path (0600).
func generatedSecrets(path string, names []string) (map[string]string, error) {
	secrets := map[string]string{}
	text, err := os.ReadFile(path)
	if err == nil {
		err = json.Unmarshal(text, &secrets)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read secrets %s: %w", path, err)
	}
	made := false
	for _, name := range names {
		if secrets[name] == "" {
			secrets[name], made = randomHex(32), true
		}
	}
	if !made {
		return secrets, nil
	}
	return secrets, writeSecrets(path, secrets)
}

func writeSecrets(path string, secrets map[string]string) error {
	text, err := json.Marshal(secrets)
	if err == nil {
		err = atomicfile.Write(path, text, 0o600)
	}
	if err != nil {
		return fmt.Errorf("write secrets: %w", err)
	}
	return nil
}

func randomHex(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never returns an error
	return hex.EncodeToString(b)
}
