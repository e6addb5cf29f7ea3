// Command misbehave is an app that tries what no app may do, so that tests see
// that it cannot. It is only ever run by tests.
//
//	misbehave [flags] report            tries each forbidden thing once and prints a report
//	misbehave [flags] serve             the same, as an app: the report is at / on $PORT
//	misbehave euid                      prints its effective user; a copy of it may be setuid root
//	misbehave [-bare] daemonize FILE    leaves a daemon behind that writes its number to FILE, and waits
//	misbehave wait FILE                 writes its number to FILE, and waits
//	misbehave deaf FILE                 ignores every signal it can, writes its number to FILE, and waits
//	misbehave shout                     prints without end
//
// A report is a list of attempts, each of them allowed or not. What an attempt
// did is undone at once, because as a control they are also run by root.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "misbehave:", err)
		os.Exit(1)
	}
}

// Paths that may be given more than once.
type list []string

func (l *list) String() string     { return strings.Join(*l, " ") }
func (l *list) Set(v string) error { *l = append(*l, v); return nil }

func run(args []string) error {
	var t targets
	flags := flag.NewFlagSet("misbehave", flag.ContinueOnError)
	flags.Var(&t.read, "read", "a `file` or folder to read")
	flags.Var(&t.write, "write", "a `folder` to write in")
	flags.Var(&t.change, "change", "a `file` to change")
	flags.Var(&t.connect, "connect", "a `socket` to connect to")
	flags.Var(&t.reach, "reach", "a TCP `address` to connect to")
	flags.IntVar(&t.pid, "pid", 0, "the `process` to signal, trace and look into")
	flags.StringVar(&t.setuid, "setuid", "", "a copy of this `program` that is setuid root")
	flags.StringVar(&t.scratch, "scratch", "", "a `folder` that may be written in")
	bare := flags.Bool("bare", false, "the daemon loses its environment too")
	if err := flags.Parse(args); err != nil {
		return err
	}
	switch verb := flags.Arg(0); verb {
	case "report":
		return json.NewEncoder(os.Stdout).Encode(t.report())
	case "serve":
		return serve(t)
	case "euid":
		_, err := fmt.Println(os.Geteuid())
		return err
	case "daemonize":
		return daemonize(flags.Arg(1), *bare)
	case "deaf":
		signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT)
		return tellAndWait(flags.Arg(1))
	case "wait":
		return tellAndWait(flags.Arg(1))
	case "shout":
		return shout()
	default:
		return fmt.Errorf("%q is none of report, serve, euid, daemonize, wait, deaf and shout", verb)
	}
}

func serve(t targets) error {
	return http.ListenAndServe("127.0.0.1:"+os.Getenv("PORT"), http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if err := json.NewEncoder(w).Encode(t.report()); err != nil {
			fmt.Fprintln(os.Stderr, "misbehave:", err)
		}
	}))
}

// daemonize starts a child that leaves the group and the session, and that its parent does not wait for.
func daemonize(file string, bare bool) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(self, "deaf", file)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if bare {
		cmd.Env = []string{}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	return wait()
}

func tellAndWait(file string) error {
	if err := os.WriteFile(file, []byte(fmt.Sprintln(os.Getpid())), 0o644); err != nil {
		return err
	}
	return wait()
}

// wait waits for a signal that ends it.
func wait() error {
	for {
		if err := syscall.Pause(); err != nil && err != syscall.EINTR {
			return err
		}
	}
}

func shout() error {
	out := bufio.NewWriterSize(os.Stdout, 1<<20)
	for {
		if _, err := out.WriteString("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"); err != nil {
			return err
		}
	}
}
