package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProgramHasOnlyWhatItWasGiven(t *testing.T) {
	t.Setenv("OF_THE_CALLER", "1")
	secret, err := os.Open(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = secret.Close() }()
	if _, _, errno := syscall.Syscall(syscall.SYS_FCNTL, secret.Fd(), syscall.F_SETFD, 0); errno != 0 {
		t.Fatal(errno) // now a child would inherit it
	}
	given, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = given.Close() }()
	spec := script(t, `tr '\0' '\n' </proc/self/environ; (exec ls /proc/$$/fd >fds); tr '\n' ' ' <fds; echo; pwd -P; cat
		set -- $(cat /proc/$$/stat); echo $(($1 == $6)) $7`) // of a session of its own, without a terminal
	spec.Env = append(spec.Env, "GREETING=hello\nworld \xff")
	spec.ExtraFiles = []*os.File{given}
	res, err := Run(testContext(t), spec)
	if err != nil {
		t.Fatal(err, res.Output)
	}
	before, token, _ := strings.Cut(res.Output, "POPUP_PROCESS=")
	_, after, _ := strings.Cut(token, "\n")
	want := "PATH=/usr/local/bin:/usr/bin:/bin\nGREETING=hello\nworld \uFFFD\n|0 1 2 3 \n" + spec.Dir + "\n1 0\n"
	if got := before + "|" + after; got != want {
		t.Errorf("the program saw\n%q, want\n%q", got, want)
	}
}

func TestStopAsksFirst(t *testing.T) {
	spec := script(t, `trap 'echo bye; exit 0' TERM; echo $$ > leader; while :; do sleep 0.01; done`)
	p := mustStart(t, spec)
	if pid := readPID(t, filepath.Join(spec.Dir, "leader")); pid != p.PID() {
		t.Errorf("PID() = %d, the program is %d", p.PID(), pid)
	}
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	waitDone(t, p)
	if err := p.Err(); err != nil {
		t.Errorf("Err() = %v after Stop, want nil", err)
	}
	if !strings.HasSuffix(p.Tail(), "bye\n") { // the shell tells of its sleep before
		t.Errorf("Tail() = %q, want what the trap printed", p.Tail())
	}
	if err := p.Stop(testContext(t)); err != nil {
		t.Errorf("a second Stop: %v", err)
	}
}

func TestStopGivesChildrenTheRestOfTheGrace(t *testing.T) {
	// The shell dies of TERM at once; what it started takes a moment to end well.
	spec := script(t, `sh -c 'trap "sleep 0.2; echo drained > drained; exit 0" TERM; echo $$ > child; while :; do sleep 0.01; done' & wait`)
	p := mustStart(t, spec)
	readPID(t, filepath.Join(spec.Dir, "child"))
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(spec.Dir, "drained")); err != nil {
		t.Error("the child was not given time to end by itself")
	}
}

func TestStopKillsWhatDoesNotEnd(t *testing.T) {
	spec := script(t, `trap '' TERM; sleep 1000 & echo $! > child; echo $$ > leader; wait; sleep 1000`)
	spec.Grace = 100 * time.Millisecond
	p := mustStart(t, spec)
	leader, child := readPID(t, filepath.Join(spec.Dir, "leader")), readPID(t, filepath.Join(spec.Dir, "child"))
	began := time.Now()
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < spec.Grace {
		t.Errorf("killed after %s, before its grace of %s was over", took, spec.Grace)
	}
	if running(leader) || running(child) {
		t.Error("a program that ignores TERM outlived its stop")
	}
}

func TestStopKillsAtOnceWhenItsContextEnds(t *testing.T) {
	spec := script(t, `trap '' TERM; echo $$ > leader; while :; do sleep 0.01; done`)
	spec.Grace = time.Hour
	p := mustStart(t, spec)
	leader := readPID(t, filepath.Join(spec.Dir, "leader"))
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if err := p.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if running(leader) {
		t.Error("the program outlived the context of its stop")
	}
}

// What left the group is found by its session, what left that by its
// environment, and what lost that too by its cgroup, where there is one.
func TestStopEndsDaemons(t *testing.T) {
	ways := map[string]string{
		"own group":   `set -m; sh -c 'echo $$ > daemon; exec sleep 1000' & wait`,
		"own session": `setsid -f sh -c 'echo $$ > daemon; exec sleep 1000'; sleep 1000`,
	}
	for name, line := range ways {
		t.Run(name, func(t *testing.T) {
			withoutCgroups(t)
			stopsDaemon(t, line)
		})
	}
	if makeTestCgroup(t) {
		ways["own session, no environment"] = `setsid -f env -i /bin/sh -c 'echo $$ > daemon; exec sleep 1000'; sleep 1000`
		for name, line := range ways {
			t.Run(name+", cgroup", func(t *testing.T) { stopsDaemon(t, line) })
		}
	}
}

func stopsDaemon(t *testing.T, line string) {
	t.Helper()
	spec := script(t, line)
	p := mustStart(t, spec)
	daemon := readPID(t, filepath.Join(spec.Dir, "daemon"))
	began := time.Now()
	if err := p.Stop(testContext(t)); err != nil {
		t.Fatal(err)
	}
	if running(daemon) {
		_ = syscall.Kill(daemon, syscall.SIGKILL)
		t.Error("the daemon outlived the stop of the program that started it")
	}
	if took := time.Since(began); took > defaultGrace/2 {
		t.Errorf("it took %s, as if the daemon had not been asked to end", took)
	}
}

// What gives rights up heeds neither our environment nor the program's: a
// stranger had a say in that.
func TestEnvironmentIsHandedOverLast(t *testing.T) {
	const chatty = "GODEBUG=inittrace=1" // makes a Go program print as it starts
	t.Setenv("GODEBUG", "inittrace=1")
	if out, err := exec.Command(os.Args[0], "-test.run=^$").CombinedOutput(); err != nil || !strings.Contains(string(out), "init ") {
		t.Fatalf("nothing would be proven: %v: %s", err, out)
	}
	spec := script(t, `echo $GODEBUG`)
	spec.Env = append(spec.Env, chatty)
	res, err := Run(testContext(t), spec)
	if err != nil || res.Output != "inittrace=1\n" {
		t.Errorf("%q, %v", res.Output, err)
	}
}

// makeTestCgroup reports whether this machine lets us make cgroups.
func makeTestCgroup(t *testing.T) bool {
	t.Helper()
	c := cgroup(filepath.Join(ownCgroup(), fmt.Sprintf("popup-test-%d", os.Getpid())))
	if ownCgroup() == "" || os.Mkdir(string(c), 0o755) != nil {
		return false
	}
	if err := c.remove(); err != nil {
		t.Fatal(err)
	}
	return true
}

func TestEndOfTheProgramEndsItsChildren(t *testing.T) {
	spec := script(t, `sleep 1000 & echo $! > child; echo "no database"; exit 3`)
	p := mustStart(t, spec)
	waitDone(t, p)
	if running(readPID(t, filepath.Join(spec.Dir, "child"))) {
		t.Error("a child outlived the program")
	}
	var exit *ExitError
	if err := p.Err(); !errors.As(err, &exit) || exit.Code != 3 {
		t.Fatalf("Err() = %v, want status 3", err)
	}
	if got := p.Err().Error(); got != "app exited with status 3" {
		t.Errorf("Err() = %q; what the program printed is for Tail alone", got)
	}
	if p.Tail() != "no database\n" {
		t.Errorf("Tail() = %q", p.Tail())
	}
}

func TestErrTellsHowItEnded(t *testing.T) {
	for line, want := range map[string]string{
		`exit 0`:        "app exited with status 0",
		`kill -9 $$`:    "app was killed by signal 9, as the kernel does when memory runs out",
		`kill -SEGV $$`: "app was ended by signal 11 (segmentation fault)",
	} {
		p := mustStart(t, script(t, line))
		if p.Err() != nil {
			t.Errorf("%s: Err() = %v before the end", line, p.Err())
		}
		waitDone(t, p)
		if p.Err() == nil || p.Err().Error() != want {
			t.Errorf("%s: Err() = %v, want %q", line, p.Err(), want)
		}
	}
}

// A program is written down before it runs, and forgotten when it is gone.
func TestRecord(t *testing.T) {
	spec := script(t, "")
	spec.Argv[2] = `cat ` + spec.RunDir + `/*.json`
	res, err := Run(testContext(t), spec)
	if err != nil {
		t.Fatal(err)
	}
	r, err := parseRecord([]byte(res.Output))
	if err != nil {
		t.Fatalf("the program saw of its record: %q: %v", res.Output, err)
	}
	if r.Name != "app" {
		t.Errorf("recorded as %q", r.Name)
	}
	if left := ls(t, spec.RunDir); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
	if r.Cgroup != "" {
		if _, err := os.Stat(r.Cgroup); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the cgroup is still there: %v", err)
		}
	}
}

func TestStartWithoutARecordStartsNothing(t *testing.T) {
	spec := script(t, `touch ran`)
	spec.RunDir = filepath.Join(spec.RunDir, "missing")
	p, err := Start(testContext(t), spec)
	if err == nil {
		_ = p.Stop(testContext(t))
		t.Fatal("started without a record")
	}
	if !strings.Contains(err.Error(), "start app: write process record: ") {
		t.Errorf("error is %q", err)
	}
	if _, err := os.Stat(filepath.Join(spec.Dir, "ran")); err == nil {
		t.Error("the program ran although it could not be written down")
	}
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	over, cancel := context.WithCancel(context.Background())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		spec Spec
		want string
	}{
		{over, Spec{Name: "app", Argv: []string{"true"}}, "start app: context canceled"},
		{t.Context(), Spec{Name: "App!", Argv: []string{"true"}}, `start program "App!": its name may have`},
		{t.Context(), Spec{Name: "../app", Argv: []string{"true"}}, `start program "../app": its name may have`},
		{t.Context(), Spec{Name: "app"}, "start app: start program: no program is named"},
		{t.Context(), Spec{Name: "app", Argv: []string{"true", "a\x00b"}}, "contains a zero byte"},
		{t.Context(), Spec{Name: "app", Argv: []string{"true"}, Env: []string{"A=\x00"}}, "contains a zero byte"},
		{t.Context(), Spec{Name: "app", Argv: []string{"true"}, Env: []string{""}}, "a setting is empty"},
		{t.Context(), Spec{Name: "app", Argv: []string{"true"}, Dir: "/does/not/exist"}, "start app: enter its folder: stat /does/not/exist: no such file"},
		{t.Context(), Spec{Name: "app", Argv: []string{"true"}, Dir: file}, "is not a folder"},
	} {
		p, err := Start(c.ctx, c.spec)
		if err == nil {
			_ = p.Stop(testContext(t))
			t.Errorf("%+v started, want %q", c.spec, c.want)
			continue
		}
		if !strings.Contains(err.Error(), c.want) {
			t.Errorf("error is %q, want %q in it", err, c.want)
		}
	}
}

// Nothing is left of many processes: no goroutine, no zombie, no descriptor.
func TestNothingIsLeft(t *testing.T) {
	run := func() {
		if _, err := Run(testContext(t), script(t, `sleep 1000 & exit 0`)); err != nil {
			t.Fatal(err)
		}
	}
	run() // what is opened once and kept is open now
	goroutines, files := runtime.NumGoroutine(), len(ls(t, "/proc/self/fd"))
	for range 20 {
		run()
	}
	eventually(t, "as many goroutines as before", func() bool { return runtime.NumGoroutine() <= goroutines })
	if now := len(ls(t, "/proc/self/fd")); now > files {
		t.Errorf("%d descriptors are open, %d were", now, files)
	}
	if zombies := ownZombies(t); len(zombies) > 0 {
		t.Errorf("zombies: %v", zombies)
	}
}

// ownZombies are children of ours that have ended and were not reaped.
func ownZombies(t *testing.T) []int {
	t.Helper()
	children, err := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	var pids []int
	for field := range strings.FieldsSeq(string(children)) {
		pid := 0
		if _, err := fmt.Sscan(field, &pid); err == nil && !running(pid) {
			pids = append(pids, pid)
		}
	}
	return slices.Compact(pids)
}
