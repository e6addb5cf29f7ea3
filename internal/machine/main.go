package machine

import (
	"fmt"
	"os"
)

// The hidden verbs by which this program starts itself again.
const (
	verbInit = "popup:machine-init" // becomes a container's init
	verbPipe = "popup:machine-pipe" // joins standard input and output to a socket
)

// Main carries out a hidden verb when args, a whole os.Args, begin with one. It
// must be called before anything else in main, and in the TestMain of a package
// that starts machines. When handled is true the caller exits with code; why it
// failed has been said on standard error.
func Main(args []string) (handled bool, code int) {
	if len(args) < 2 {
		return false, 0
	}
	var err error
	switch args[1] {
	case verbInit:
		err = becomeInit()
	case verbPipe:
		err = pipe(args[2:], os.Stdin, os.Stdout)
	default:
		return false, 0
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "popup:", err)
		return true, 1
	}
	return true, 0
}
