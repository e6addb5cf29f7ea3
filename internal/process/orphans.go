package process

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// An Orphan is a process that outlived the program that started it, and was ended.
type Orphan struct {
	Name   string
	PID    int
	Killed int // processes, of it and of what it started
}

func (o Orphan) String() string {
	if o.Killed == 1 {
		return fmt.Sprintf("%s (process %d) was still running, and was ended", o.Name, o.PID)
	}
	return fmt.Sprintf("%s (process %d): %d processes of it were still running, and were ended", o.Name, o.PID, o.Killed)
}

// EndOrphans kills what an earlier program that wrote its records into runDir
// left running, and removes the records. Nothing may be started there meanwhile.
// A process is only touched when it is certainly one of them: it leads a recorded
// group and has the recorded start time, it is in such a group, in a recorded
// cgroup, or has a recorded token in its environment. A number that another
// process has by now, or a record from before a restart of the machine, touches
// nothing. The orphans that were ended are returned also with an error, which
// says what could not be ended; its record stays.
func EndOrphans(runDir string) ([]Orphan, error) {
	entries, err := os.ReadDir(runDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read process records: %w", err)
	}
	boot, err := bootID()
	if err != nil {
		return nil, err
	}
	var orphans []Orphan
	var errs []error
	for _, e := range entries {
		path := filepath.Join(runDir, e.Name())
		switch {
		case strings.HasPrefix(e.Name(), aside):
			errs = append(errs, os.Remove(path)) // its process never left the gate
		case strings.HasSuffix(e.Name(), recordSuffix):
			killed, err := endRecorded(path, boot)
			if killed.Killed > 0 {
				orphans = append(orphans, killed)
			}
			errs = append(errs, err)
		}
	}
	return orphans, errors.Join(errs...)
}

// endRecorded ends what the record at path tells of, and then removes it.
func endRecorded(path, boot string) (Orphan, error) {
	r, err := readRecord(path)
	if errors.Is(err, errNotRecord) || err == nil && r.BootID != boot {
		return Orphan{}, os.Remove(path) // there is nothing that it could still tell
	}
	if err != nil {
		return Orphan{}, err
	}
	f := r.family()
	killed, err := f.end()
	orphan := Orphan{Name: r.Name, PID: r.PID, Killed: killed}
	if err != nil {
		return orphan, fmt.Errorf("end %s: %w", r.Name, err)
	}
	return orphan, errors.Join(f.cgroup.remove(), os.Remove(path))
}

func readRecord(path string) (record, error) {
	f, err := os.Open(path)
	if err != nil {
		return record{}, fmt.Errorf("read process record: %w", err)
	}
	defer func() { _ = f.Close() }() // only read
	encoded, err := io.ReadAll(io.LimitReader(f, maxRecord))
	if err != nil {
		return record{}, fmt.Errorf("read process record: %w", err)
	}
	return parseRecord(encoded)
}
