package process

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// A stat is what the kernel says of a process.
type stat struct {
	state   byte // Z and X are of a process that has ended
	group   int
	session int
	start   uint64 // in clock ticks after the boot
}

// ended reports whether the process only waits to be reaped.
func (s stat) ended() bool { return s.state == 'Z' || s.state == 'X' }

func readStat(pid int) (stat, error) {
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return stat{}, err
	}
	return parseStat(string(line))
}

var errNotStat = errors.New("this is not the state of a process")

// parseStat reads a line of /proc/PID/stat. The name in it is the process's own
// choice and may look like anything, so fields are counted from its last parenthesis.
func parseStat(line string) (stat, error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return stat{}, errNotStat
	}
	fields := strings.Fields(line[end+1:]) // from the third on: state, parent, group, session …
	const start = 19
	if len(fields) <= start || len(fields[0]) != 1 {
		return stat{}, errNotStat
	}
	group, groupErr := strconv.Atoi(fields[2])
	session, sessionErr := strconv.Atoi(fields[3])
	ticks, ticksErr := strconv.ParseUint(fields[start], 10, 64)
	if err := errors.Join(groupErr, sessionErr, ticksErr); err != nil {
		return stat{}, errors.Join(errNotStat, err)
	}
	return stat{state: fields[0][0], group: group, session: session, start: ticks}, nil
}
