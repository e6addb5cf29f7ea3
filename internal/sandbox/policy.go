// Package sandbox is how a stranger's program is started: as its own user,
// without new privileges, without capabilities, where asked confined by
// Landlock, and with the instance's metadata closed to it.
//
// A process can give up its rights only for itself and for what it becomes, and
// a Go program cannot do so between fork and exec. So popup starts itself once
// more under a hidden verb, which gives the rights up and then becomes the
// program. Main is that verb: it must be the first thing in main and in TestMain.
package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Policy says what a program is started with. Whatever it says, the program
// gets no new privileges (a setuid program gives it none), no capabilities, not
// even as root, no core dumps and a umask of 027. The zero Policy is that and nothing else.
type Policy struct {
	User     *User     `json:"user,omitempty"`     // nil: the user who starts it; anything else needs root
	Landlock *Landlock `json:"landlock,omitempty"` // nil: the whole file system, as far as the user may
	Limits   Limits    `json:"limits,omitzero"`
}

// A User is an account of this machine.
type User struct {
	Name string `json:"name"`
	UID  uint32 `json:"uid"`
	GID  uint32 `json:"gid"`
}

// Limits bound what one program may hold. Zero leaves a limit as it is.
type Limits struct {
	Files     uint64 `json:"files,omitempty"`     // open at once, by each process
	Processes uint64 `json:"processes,omitempty"` // of the program's user, all together; does not bind root
}

// Command returns the argv that starts argv under p: that of this binary's
// hidden verb. There is no secret in it. It fails on an argv that cannot be
// started at all, and in a program that did not call Main.
//
// The program gets the environment of the command; package process hands it
// over only after the rights were given up, which is to be preferred for an
// environment that a stranger had a say in.
func (p Policy) Command(argv []string) ([]string, error) {
	if err := checkArgv(argv); err != nil {
		return nil, err
	}
	if p.User != nil && p.User.UID == 0 {
		return nil, fmt.Errorf("sandbox %s: user %q is root; give it a user of its own", argv[0], p.User.Name)
	}
	return invocation{Policy: &p}.argv(argv)
}

// errNoMain says what a program that starts others has to do.
var errNoMain = errors.New("this program did not call sandbox.Main before anything else, so it cannot start others through itself; call it first in main and in TestMain")

func checkArgv(argv []string) error {
	if len(argv) == 0 || argv[0] == "" {
		return errors.New("start program: no program is named")
	}
	if slices.ContainsFunc(argv, func(s string) bool { return strings.ContainsRune(s, 0) }) {
		return fmt.Errorf("start %q: an argument contains a zero byte, which no program can be given", argv[0])
	}
	return nil
}
