package machine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// cgroupType is the file system of control groups, version 2.
	cgroupType = "cgroup2"
	// cgroupPrefix begins the names of machines' groups.
	cgroupPrefix = "popup-machine-"
)

// A cgroup is a folder of this machine's control groups that a container sees
// as all there is.
type cgroup struct {
	path string
	dir  *os.File
}

// newCgroup makes a group of its own, beside every other.
func newCgroup() (*cgroup, error) {
	mount, err := cgroupRoot()
	if err != nil {
		return nil, err
	}
	path, err := os.MkdirTemp(mount, cgroupPrefix)
	return madeCgroup(path, err)
}

// keptCgroup makes the group of the machine that alone has the name.
func keptCgroup(name string) (*cgroup, error) {
	mount, err := cgroupRoot()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(mount, cgroupPrefix+name)
	return madeCgroup(path, os.Mkdir(path, 0o700))
}

// RemoveLeftovers kills and removes what a program that was killed left of a kept
// container, but for its folder. Nil: there is nothing of it.
func RemoveLeftovers(ctx context.Context, name string) error {
	if err := checkName(name); err != nil {
		return err
	}
	mount, err := cgroupRoot()
	if err != nil {
		return err
	}
	group, err := openCgroup(filepath.Join(mount, cgroupPrefix+name))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return group.remove(ctx)
}

// cgroupRoot is where this machine's control groups are.
func cgroupRoot() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("find control groups: %w", err)
	}
	mount := cgroupMount(string(mounts))
	if mount == "" {
		return "", errors.New("find control groups: no cgroup2 is mounted here; mount -t cgroup2 cgroup2 /sys/fs/cgroup")
	}
	return mount, nil
}

func madeCgroup(path string, err error) (*cgroup, error) {
	if err != nil {
		return nil, fmt.Errorf("make control group: %w", err)
	}
	group, err := openCgroup(path)
	if err != nil {
		return nil, errors.Join(err, os.Remove(path))
	}
	return group, nil
}

func openCgroup(path string) (*cgroup, error) {
	dir, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open control group: %w", err)
	}
	return &cgroup{path: path, dir: dir}, nil
}

// cgroupMount finds where control groups are mounted, in a mountinfo.
func cgroupMount(mountinfo string) string {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		field := strings.Fields(before)
		if ok && len(field) > 4 && strings.HasPrefix(after, cgroupType+" ") {
			return field[4]
		}
	}
	return ""
}

// remove kills what is in the group and removes it with its subgroups. A group
// is busy for a moment after its last process ended.
func (g *cgroup) remove(ctx context.Context) error {
	err := g.dir.Close()
	// Kernels before 5.14 have no such file; there the end of init has to do.
	if killErr := os.WriteFile(filepath.Join(g.path, "cgroup.kill"), []byte("1"), 0); !errors.Is(killErr, fs.ErrNotExist) {
		err = errors.Join(err, killErr)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		rmErr := removeGroups(g.path)
		if !errors.Is(rmErr, unix.EBUSY) {
			return errors.Join(err, rmErr)
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, fmt.Errorf("remove control group: %w", rmErr))
		case <-tick.C:
		}
	}
}

// removeGroups removes a group's subgroups, then the group.
func removeGroups(path string) error {
	entries, err := os.ReadDir(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroups(filepath.Join(path, entry.Name())); err != nil {
				return err
			}
		}
	}
	if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "rmdir", Path: path, Err: err}
	}
	return nil
}
