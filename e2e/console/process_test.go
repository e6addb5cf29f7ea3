package console

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"popup/internal/testutil"
)

// A running is a popup console that runs.
type running struct {
	*testutil.Process
	t   testing.TB
	url string
}

// anyPort is where a console listens that needs no address of its own.
const anyPort = "127.0.0.1:0"

// start starts a console on a folder, at an address. Where core is not negative it has that core alone,
// and GOMAXPROCS=1. It is killed when the test is over.
func start(t testing.TB, dir, listen string, core int) *running {
	t.Helper()
	argv := []string{program, "console", "--data-dir", dir, "--listen", listen}
	if core >= 0 {
		argv = append([]string{"taskset", "--cpu-list", strconv.Itoa(core), "env", "GOMAXPROCS=1"}, argv...)
	}
	r := &running{Process: testutil.Start(t, exec.Command(argv[0], argv[1:]...)), t: t}
	r.url = r.Says("listening on ", time.Minute)
	return r
}

func only(core int) *unix.CPUSet {
	var set unix.CPUSet
	set.Set(core)
	return &set
}

// cores are the first and the last that this process may use: one for who is measured,
// one for who asks.
func cores(t testing.TB) (first, last int) {
	t.Helper()
	var set unix.CPUSet
	must(t, unix.SchedGetaffinity(0, &set))
	first = -1
	for core := range 1024 {
		if set.IsSet(core) {
			last = core
			if first < 0 {
				first = core
			}
		}
	}
	return first, last
}

// A used is what a process used since its start, and what it holds now.
type used struct {
	cpu             time.Duration
	waited          time.Duration // it could have run, and others did
	resident, peak  int64         // bytes
	written         int64         // bytes to disks
	anonymous, file int64         // what of it is its own memory, and what its program
}

// uses reads what it used.
func (r *running) uses() (u used) {
	r.t.Helper()
	proc := fmt.Sprintf("/proc/%d/", r.Pid())
	stat := r.read(proc + "stat")
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	const tick = 10 * time.Millisecond // of USER_HZ, everywhere
	u.cpu = tick * time.Duration(r.number(fields[11])+r.number(fields[12]))
	for name, value := range r.pairs(proc + "status") {
		switch name {
		case "VmRSS":
			u.resident = value << 10
		case "VmHWM":
			u.peak = value << 10
		case "RssAnon":
			u.anonymous = value << 10
		case "RssFile":
			u.file = value << 10
		}
	}
	u.written = r.pairs(proc + "io")["write_bytes"]
	tasks, err := os.ReadDir(proc + "task")
	must(r.t, err)
	for _, task := range tasks {
		text, err := os.ReadFile(proc + "task/" + task.Name() + "/schedstat")
		if fields := strings.Fields(string(text)); err == nil && len(fields) == 3 { // a thread may end meanwhile
			u.waited += time.Duration(r.number(fields[1]))
		}
	}
	return u
}

func (r *running) read(path string) string {
	r.t.Helper()
	text, err := os.ReadFile(path)
	must(r.t, err)
	return string(text)
}

func (r *running) number(text string) int64 {
	r.t.Helper()
	n, err := strconv.ParseInt(text, 10, 64)
	must(r.t, err)
	return n
}

// pairs reads lines like "VmRSS:  1234 kB"; those without a number are left out.
func (r *running) pairs(path string) map[string]int64 {
	r.t.Helper()
	all := map[string]int64{}
	for line := range strings.Lines(r.read(path)) {
		name, rest, _ := strings.Cut(line, ":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			continue
		}
		if n, err := strconv.ParseInt(fields[0], 10, 64); err == nil {
			all[name] = n
		}
	}
	return all
}

// load is how busy the machine is.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.Join(strings.Fields(string(text))[:3], " ")
}
