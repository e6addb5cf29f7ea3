package process

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	recordSuffix = ".json"
	aside        = "tmp-" // begins the name of a record that is not whole
	maxRecord    = 16 << 10
)

// A record identifies a process beyond its number, which another process may have later.
type record struct {
	Name      string `json:"name"`
	PID       int    `json:"pid"`
	StartTime uint64 `json:"start_time"` // in clock ticks after the boot, as the kernel has it
	BootID    string `json:"boot_id"`
	Token     string `json:"token"`            // in the environment of all that the process starts
	Cgroup    string `json:"cgroup,omitempty"` // its folder; empty: it has none of its own
}

// newRecord describes the waiting process pid. The cgroup it names is yet to be made.
func newRecord(name string, pid int) (record, error) {
	boot, err := bootID()
	if err != nil {
		return record{}, err
	}
	stat, err := readStat(pid)
	if err != nil {
		return record{}, fmt.Errorf("identify process %d: %w", pid, err)
	}
	r := record{Name: name, PID: pid, StartTime: stat.start, BootID: boot, Token: strings.ToLower(rand.Text())}
	if parent := ownCgroup(); parent != "" {
		r.Cgroup = filepath.Join(parent, cgroupPrefix+name+"-"+r.Token)
	}
	return r, nil
}

func (r record) family() family {
	return family{leader: r.PID, start: r.StartTime, token: r.Token, cgroup: cgroup(r.Cgroup)}
}

// write puts r into dir by one rename and returns its path. It is not lost with
// this program; should the machine stop, there is nothing left that it could tell of.
func (r record) write(dir string) (path string, err error) {
	encoded, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("write process record: %w", err)
	}
	f, err := os.CreateTemp(dir, aside) // readable by us alone
	if err != nil {
		return "", fmt.Errorf("write process record: %w", err)
	}
	_, err = f.Write(encoded)
	path = filepath.Join(dir, fmt.Sprintf("%s-%d%s", r.Name, r.PID, recordSuffix))
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("write process record: %w", err), os.Remove(f.Name()))
	}
	return path, nil
}

// errNotRecord says that a file is not what Start wrote.
var errNotRecord = errors.New("this is not a process record")

func parseRecord(encoded []byte) (record, error) {
	var r record
	if err := json.Unmarshal(encoded, &r); err != nil {
		return record{}, errors.Join(errNotRecord, err)
	}
	// Killing process 1, our own group (0) or everybody (-1) would be asked for by nobody.
	if r.PID <= 1 || r.StartTime == 0 || r.BootID == "" || len(r.Token) < 26 || !processName.MatchString(r.Name) {
		return record{}, errNotRecord
	}
	if r.Cgroup != "" && filepath.Base(r.Cgroup) != cgroupPrefix+r.Name+"-"+r.Token {
		return record{}, errNotRecord
	}
	return r, nil
}

// bootID differs from one start of the machine to the next.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	return strings.TrimSpace(string(id)), nil
}
