package vm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"popup/internal/atomicfile"
)

// A disk is what is written down about a volume or a snapshot. It is there once that is
// written, and until it is gone.
type disk struct {
	ID         string    `json:"id"`
	Event      string    `json:"event,omitempty"`
	EventID    string    `json:"event_id,omitempty"`
	Deployment string    `json:"deployment,omitempty"`
	Instance   string    `json:"instance,omitempty"` // who has it, or had
	Detail     string    `json:"detail,omitempty"`
	Raw        bool      `json:"raw,omitempty"` // a volume can begin with it
	Made       time.Time `json:"made"`
}

// A shelf is a folder of disks: of each its bytes, ID, and what is known, ID.json.
type shelf string

const (
	recordSuffix = ".json"
	halfSuffix   = ".half" // ends the name of what is being written
)

var diskID = regexp.MustCompile(`^(vol|snap)-[0-9a-f]{8,16}$`)

func (s shelf) path(id string) string { return filepath.Join(string(s), id) }

// open makes the shelf, and removes what is no disk yet, or not any more.
func (s shelf) open() error {
	if err := os.MkdirAll(string(s), 0o700); err != nil {
		return fmt.Errorf("make a folder for disks: %w", err)
	}
	entries, err := os.ReadDir(string(s))
	if err != nil {
		return fmt.Errorf("look for disks: %w", err)
	}
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), recordSuffix) {
			continue
		}
		if _, err := os.Stat(s.path(e.Name() + recordSuffix)); errors.Is(err, fs.ErrNotExist) {
			if err := os.Remove(s.path(e.Name())); err != nil {
				return fmt.Errorf("remove half a disk: %w", err)
			}
		}
	}
	return nil
}

// find is false where there is no such disk.
func (s shelf) find(id string) (d disk, found bool, err error) {
	if !diskID.MatchString(id) {
		return d, false, nil
	}
	text, err := os.ReadFile(s.path(id + recordSuffix))
	if errors.Is(err, fs.ErrNotExist) {
		return d, false, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &d)
	}
	if err == nil && d.ID != id {
		err = errors.New("it is of another")
	}
	if err != nil {
		return d, false, fmt.Errorf("read what is known of %s: %w", id, err)
	}
	return d, true, nil
}

// all are the disks, in the order of their ids.
func (s shelf) all() (disks []disk, err error) {
	entries, err := os.ReadDir(string(s))
	if err != nil {
		return nil, fmt.Errorf("look for disks: %w", err)
	}
	for _, e := range entries {
		id, ok := strings.CutSuffix(e.Name(), recordSuffix)
		if !ok {
			continue
		}
		d, found, err := s.find(id)
		if err != nil {
			return nil, err
		}
		if found {
			disks = append(disks, d)
		}
	}
	return disks, nil
}

func (s shelf) write(d disk) error {
	text, err := json.MarshalIndent(d, "", "  ")
	if err == nil {
		err = atomicfile.Write(s.path(d.ID+recordSuffix), append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("write what is known of %s: %w", d.ID, err)
	}
	return nil
}

// add puts a disk on the shelf whose bytes fill writes to a path.
func (s shelf) add(d disk, fill func(path string) error) error {
	half := s.path(d.ID + halfSuffix)
	err := fill(half)
	if err == nil {
		err = os.Rename(half, s.path(d.ID))
	}
	if err == nil {
		err = atomicfile.SyncFS(string(s))
	}
	if err != nil {
		if rmErr := os.Remove(half); !errors.Is(rmErr, fs.ErrNotExist) {
			err = errors.Join(err, rmErr)
		}
		return fmt.Errorf("make %s: %w", d.ID, err)
	}
	return s.write(d)
}

// remove is fine with a disk that is not there.
func (s shelf) remove(id string) error {
	if !diskID.MatchString(id) {
		return nil
	}
	for _, name := range []string{id, id + recordSuffix} { // what has a record is listed, and removed again
		if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("remove %s: %w", id, err)
		}
	}
	return nil
}

// copyTimeout bounds how long the copy of a disk may take.
const copyTimeout = 10 * time.Minute

// copyDisk copies a file with its holes, or shares its blocks where the disk can.
func copyDisk(ctx context.Context, from, to string) error {
	ctx, cancel := context.WithTimeout(ctx, copyTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, "cp", "--sparse=always", "--reflink=auto", "--", from, to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("copy a disk: %w: %s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
