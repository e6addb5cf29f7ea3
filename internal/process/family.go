package process

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// tokenName is the variable that marks all that a process starts.
const tokenName = "POPUP_PROCESS"

// A family is a process and everything it started. A child that leaves the group
// is still in the session, one that leaves the session still in the cgroup, and
// where there is no cgroup its environment still has the token, unless the child
// took care to lose that too.
type family struct {
	leader int
	led    bool // the leader's number is still its own, so group and session of that number are the family's
	token  string
	cgroup cgroup
}

// members are the running processes of the family. One that has ended and was
// not yet reaped is none.
func (f family) members() []int {
	inside := f.cgroup.pids()
	var members []int
	for _, pid := range allPIDs() {
		if f.has(pid, inside) {
			members = append(members, pid)
		}
	}
	return members
}

func (f family) has(pid int, inside []int) bool {
	stat, err := readStat(pid)
	if err != nil || stat.state == 'Z' || stat.state == 'X' || pid == os.Getpid() {
		return false
	}
	if f.led && (stat.group == f.leader || stat.session == f.leader) {
		return true
	}
	return slices.Contains(inside, pid) || hasToken(pid, f.token)
}

// end kills the whole family and waits until it is gone, for at most killWait.
// It returns how many processes it killed.
func (f family) end() (int, error) {
	seen := map[int]bool{}
	deadline := time.Now().Add(killWait)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		left := f.members()
		if len(left) == 0 {
			return len(seen), nil
		}
		for _, pid := range left {
			seen[pid] = true
		}
		f.cgroup.kill()
		if f.led {
			_ = syscall.Kill(-f.leader, syscall.SIGKILL) // the whole group at once; what it misses comes next
		}
		err := f.signal(syscall.SIGKILL)
		if time.Now().After(deadline) {
			return len(seen), errors.Join(fmt.Errorf("processes %v do not end though they were killed", left), err)
		}
		<-tick.C
	}
}

// signal sends sig to each of the family.
func (f family) signal(sig syscall.Signal) error {
	var errs []error
	for _, pid := range f.members() {
		errs = append(errs, f.signalMember(pid, sig))
	}
	return errors.Join(errs...)
}

// signalMember holds on to the process before it asks once more whether it is of
// the family, so that it cannot be another by then.
func (f family) signalMember(pid int, sig syscall.Signal) error {
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("hold process %d: %w", pid, err)
	}
	defer unix.Close(fd) // nothing was written
	if !f.has(pid, f.cgroup.pids()) {
		return nil
	}
	err = unix.PidfdSendSignal(fd, sig, nil, 0)
	if err != nil && !errors.Is(err, unix.ESRCH) {
		return fmt.Errorf("signal process %d: %w", pid, err)
	}
	return nil
}

// allPIDs are the processes that can be seen here.
func allPIDs() []int {
	proc, err := os.Open("/proc")
	if err != nil {
		return nil
	}
	defer proc.Close() // only read
	names, err := proc.Readdirnames(-1)
	if err != nil {
		return nil
	}
	var pids []int
	for _, name := range names {
		if pid, err := strconv.Atoi(name); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids
}

// hasToken reports whether token is in the environment pid was started with.
// That of a process we may not look into is not ours.
func hasToken(pid int, token string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		return false
	}
	return slices.Contains(strings.Split(string(environ), "\x00"), tokenName+"="+token)
}
