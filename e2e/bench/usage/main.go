// Command usage runs a program and writes what it used, with its children, as JSON
// to file descriptor 3: first its pid, and its rusage when it has ended. It is
// small because the kernel counts the memory of whoever starts a program as the
// program's own peak.
package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
)

func main() {
	if err := run(os.NewFile(3, "report"), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "usage:", err)
		os.Exit(1)
	}
}

func run(report *os.File, argv []string) error {
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return err
	}
	p, err := os.StartProcess(path, argv, &os.ProcAttr{Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}})
	if err != nil {
		return err
	}
	fmt.Fprintf(report, "{\"pid\": %d}\n", p.Pid)
	state, err := p.Wait()
	if err != nil {
		return err
	}
	used := state.SysUsage().(*syscall.Rusage)
	cpu := state.UserTime() + state.SystemTime()
	fmt.Fprintf(report, "{\"cpu\": %d, \"peak\": %d, \"exit\": %d}\n", cpu, used.Maxrss<<10, state.ExitCode())
	return nil
}
