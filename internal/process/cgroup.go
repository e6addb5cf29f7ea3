package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// cgroupPrefix begins the name of every cgroup of ours.
const cgroupPrefix = "popup-"

// A cgroup is the folder of a control group, from which no process without rights
// can get away. Empty: there is none, and its methods do nothing.
type cgroup string

// make makes the group and puts pid into it. It reports false where that is not
// ours to do: without root, or without version 2.
func (c cgroup) make(pid int) bool {
	if c == "" || os.Mkdir(string(c), 0o755) != nil {
		return false
	}
	if os.WriteFile(c.file("cgroup.procs"), []byte(strconv.Itoa(pid)), 0) != nil {
		_ = c.remove() // it is empty
		return false
	}
	return true
}

func (c cgroup) file(name string) string { return filepath.Join(string(c), name) }

// kill kills all that is in the group. What it may leave, killMember finds.
func (c cgroup) kill() {
	if c != "" {
		_ = os.WriteFile(c.file("cgroup.kill"), []byte("1"), 0) // not there before Linux 5.14
	}
}

// pids are the processes in the group, and in groups below it.
func (c cgroup) pids() []int {
	if c == "" {
		return nil
	}
	var pids []int
	_ = filepath.WalkDir(string(c), func(path string, d fs.DirEntry, err error) error { // a group that goes meanwhile is empty
		if err != nil || d.Name() != "cgroup.procs" {
			return nil
		}
		list, err := os.ReadFile(path)
		for _, field := range strings.Fields(string(list)) {
			if pid, convErr := strconv.Atoi(field); convErr == nil {
				pids = append(pids, pid)
			}
		}
		return err
	})
	return pids
}

// remove removes the group, and the groups that were made below it. A process
// that was killed may be in it for a moment more.
func (c cgroup) remove() error {
	if c == "" {
		return nil
	}
	deadline := time.Now().Add(killWait)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.removeOnce()
		if !errors.Is(err, unix.EBUSY) || time.Now().After(deadline) {
			return err
		}
		<-tick.C
	}
}

func (c cgroup) removeOnce() error {
	var below []string
	_ = filepath.WalkDir(string(c), func(path string, d fs.DirEntry, err error) error { // rmdir tells of what is left
		if err == nil && d.IsDir() {
			below = append(below, path)
		}
		return nil
	})
	for _, path := range slices.Backward(below) {
		if err := unix.Rmdir(path); err != nil && !errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("remove cgroup: %w", err)
		}
	}
	return nil
}

// ownCgroup is the folder of this process's group; empty when it has none of version 2.
var ownCgroup = sync.OnceValue(func() string {
	mounts, mountErr := os.ReadFile("/proc/self/mountinfo")
	groups, groupErr := os.ReadFile("/proc/self/cgroup")
	if mountErr != nil || groupErr != nil {
		return ""
	}
	return findCgroup(string(mounts), string(groups))
})

// findCgroup joins where version 2 is mounted with the path of a process in it.
func findCgroup(mountinfo, groups string) string {
	own := ""
	for line := range strings.Lines(groups) {
		if path, ok := strings.CutPrefix(strings.TrimSpace(line), "0::/"); ok {
			own = "/" + path
		}
	}
	if own == "" || strings.HasPrefix(own, "/..") {
		return ""
	}
	for line := range strings.Lines(mountinfo) {
		mount, kind, ok := strings.Cut(line, " - ")
		fields := strings.Fields(mount)
		if !ok || len(fields) < 5 || !strings.HasPrefix(kind, "cgroup2 ") {
			continue
		}
		rest, below := strings.CutPrefix(own+"/", strings.TrimSuffix(fields[3], "/")+"/")
		if below {
			return filepath.Join(fields[4], rest)
		}
	}
	return ""
}
