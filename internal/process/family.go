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
	leader int // its number is that of its group and its session too
	start  uint64
	held   bool // the leader is a child of ours and not reaped, so that nobody else can have its number
	token  string
	cgroup cgroup
}

// members are the running processes of the family, its leader last. One that has
// ended and was not yet reaped is none.
func (f family) members() []int {
	inside := f.cgroup.pids()
	var members, last []int
	for _, pid := range allPIDs() {
		switch {
		case !f.has(pid, inside):
		case pid == f.leader:
			last = append(last, pid)
		default:
			members = append(members, pid)
		}
	}
	return append(members, last...)
}

// has reports whether pid runs and is of the family; inside are those in its cgroup.
func (f family) has(pid int, inside []int) bool {
	stat, err := readStat(pid)
	if err != nil || stat.ended() || pid == os.Getpid() {
		return false
	}
	if (stat.group == f.leader || stat.session == f.leader) && f.led() {
		return true
	}
	return slices.Contains(inside, pid) || hasToken(pid, f.token)
}

// led reports whether the leader's number is still its own. What was seen to be
// of a group or a session of that number before is then the family's.
func (f family) led() bool {
	if f.held {
		return true
	}
	stat, err := readStat(f.leader)
	return err == nil && stat.start == f.start
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
		err := f.kill(left)
		if time.Now().After(deadline) {
			return len(seen), errors.Join(fmt.Errorf("processes %v do not end though they were killed", left), err)
		}
		<-tick.C
	}
}

// kill kills members, and what they start meanwhile as far as that can be done
// at one stroke.
func (f family) kill(members []int) error {
	f.cgroup.kill()
	if f.held {
		_ = syscall.Kill(-f.leader, syscall.SIGKILL) // nobody left in the group is no mistake
	}
	return f.signal(members, syscall.SIGKILL)
}

// signal sends sig to members, in their order.
func (f family) signal(members []int, sig syscall.Signal) error {
	var errs []error
	for _, pid := range members {
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
	defer func() { _ = unix.Close(fd) }() // nothing was written
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
	defer func() { _ = proc.Close() }() // only read
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
