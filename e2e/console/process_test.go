package console

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A running is a popup console that runs.
type running struct {
	t     testing.TB
	cmd   *exec.Cmd
	url   string
	lines chan string // of its standard output
	log   *lastWords
	done  chan struct{} // closed when it ended
}

// A lastWords keeps the end of what a program logs.
type lastWords struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastWords) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-16<<10):]
	return len(p), nil
}

func (l *lastWords) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

// anyPort is where a console listens that needs no address of its own.
const anyPort = "127.0.0.1:0"

// start starts a console on a folder, at an address. Where core is not negative it has that core alone,
// and GOMAXPROCS=1. It is killed when the test is over.
func start(t testing.TB, dir, listen string, core int) *running {
	t.Helper()
	r := &running{t: t, lines: make(chan string, 8), log: &lastWords{}, done: make(chan struct{})}
	r.cmd = exec.CommandContext(context.WithoutCancel(t.Context()), program, "console", "--data-dir", dir, "--listen", listen)
	r.cmd.Stderr = r.log
	r.cmd.Env = os.Environ()
	if core >= 0 {
		r.cmd.Env = append(r.cmd.Env, "GOMAXPROCS=1")
	}
	out, err := r.cmd.StdoutPipe()
	must(t, err)
	must(t, onCore(core, r.cmd.Start))
	go func() {
		for in := bufio.NewScanner(out); in.Scan(); {
			r.lines <- in.Text()
		}
		_ = r.cmd.Wait() // how it ended is in ProcessState
		close(r.done)
	}()
	t.Cleanup(r.kill)
	r.url = r.says("listening on ")
	return r
}

// says waits for a line that begins with prefix, and returns the rest.
func (r *running) says(prefix string) string {
	r.t.Helper()
	for late := time.After(time.Minute); ; {
		select {
		case line := <-r.lines:
			if rest, found := strings.CutPrefix(line, prefix); found {
				return rest
			}
		case <-r.done:
			r.t.Fatalf("the console ended: %v\n%s", r.cmd.ProcessState, r.log)
		case <-late:
			r.t.Fatalf("the console never says %q\n%s", prefix, r.log)
		}
	}
}

// kill ends it without a word.
func (r *running) kill() { r.end(syscall.SIGKILL) }

// stop asks it to end.
func (r *running) stop() { r.end(syscall.SIGTERM) }

func (r *running) end(with syscall.Signal) {
	r.t.Helper()
	select {
	case <-r.done:
		return
	default:
	}
	_ = r.cmd.Process.Signal(with) // it may have ended by itself
	select {
	case <-r.done:
	case <-time.After(time.Minute):
		_ = r.cmd.Process.Kill()
		<-r.done
		r.t.Errorf("the console did not end within a minute\n%s", r.log)
	}
}

// onCore has do start a program on one core; negative: on any.
func onCore(core int, do func() error) error {
	if core < 0 {
		return do()
	}
	errs := make(chan error)
	go func() { errs <- startedOn(core, do) }()
	return <-errs
}

// startedOn has a thread of its own, which what do starts has its core from.
func startedOn(core int, do func() error) error {
	runtime.LockOSThread() // it ends with this goroutine, and its core with it
	if err := unix.SchedSetaffinity(0, only(core)); err != nil {
		return fmt.Errorf("take core %d: %w", core, err)
	}
	return do()
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
	proc := fmt.Sprintf("/proc/%d/", r.cmd.Process.Pid)
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
