package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsys "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// A Landlock confines a program to paths: beneath them it may do what their list
// says, as far as its user may, and elsewhere nothing. A path in two lists has
// the rights of both. It may also neither signal nor trace nor reach by an
// abstract socket a process outside of itself, as far as the kernel can forbid it.
type Landlock struct {
	ReadOnly  []string `json:"read_only,omitempty"`  // read and list; a path that does not exist is passed over
	Execute   []string `json:"execute,omitempty"`    // read, list and run; a path that does not exist is passed over
	ReadWrite []string `json:"read_write,omitempty"` // all but run; each must exist
	// Required makes a kernel without Landlock an error; else the program then runs without it.
	Required bool `json:"required,omitempty"`
}

// System is what nearly every program needs: the machine's programs and
// libraries, its configuration, and the devices that are no hardware. Callers
// append the program's own folders to its lists.
func System() *Landlock {
	return &Landlock{
		ReadOnly:  []string{"/etc", "/proc", "/sys", "/run/systemd/resolve", "/var/lib/php", "/dev/zero", "/dev/random", "/dev/urandom"},
		Execute:   []string{"/bin", "/sbin", "/lib", "/lib32", "/lib64", "/usr", "/opt"},
		ReadWrite: []string{"/dev/null"},
	}
}

// LandlockABI is the version of Landlock that this kernel has; 0: none.
func LandlockABI() int {
	version, err := llsys.LandlockGetABIVersion()
	if err != nil || version < 0 {
		return 0
	}
	return version
}

// The rights that each list grants.
const (
	landlockRead  landlock.AccessFSSet = llsys.AccessFSReadFile | llsys.AccessFSReadDir
	landlockWrite landlock.AccessFSSet = llsys.AccessFSWriteFile | llsys.AccessFSTruncate |
		llsys.AccessFSRemoveDir | llsys.AccessFSRemoveFile | llsys.AccessFSMakeDir | llsys.AccessFSMakeReg |
		llsys.AccessFSMakeSock | llsys.AccessFSMakeFifo | llsys.AccessFSMakeSym
	// landlockFile are those that a file can have.
	landlockFile landlock.AccessFSSet = llsys.AccessFSReadFile | llsys.AccessFSExecute |
		llsys.AccessFSWriteFile | llsys.AccessFSTruncate
)

// errNoLandlock says what a required Landlock needs.
var errNoLandlock = errors.New("this kernel has no Landlock; it came with Linux 5.13 and must be in the kernel's lsm= list")

// restrict confines this process and what it becomes, with what the kernel has.
func (l Landlock) restrict() error {
	abi := LandlockABI()
	if abi == 0 {
		if l.Required {
			return errNoLandlock
		}
		return nil
	}
	write := landlockRead | landlockWrite
	if abi >= 2 { // asking for it on the first version would mean no confinement at all
		write |= llsys.AccessFSRefer
	}
	rules := []landlock.Rule{}
	for _, list := range []struct {
		paths    []string
		rights   landlock.AccessFSSet
		optional bool
	}{
		{l.ReadOnly, landlockRead, true},
		{l.Execute, landlockRead | llsys.AccessFSExecute, true},
		{l.ReadWrite, write, false},
	} {
		granted, err := grants(list.paths, list.rights, list.optional)
		if err != nil {
			return err
		}
		rules = append(rules, granted...)
	}
	// The sixth version's rights: what came later would close the sockets of databases.
	config := landlock.Config{HandledAccessFS: landlock.V6.HandledAccessFS, Scoped: landlock.V6.Scoped}
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return fmt.Errorf("restrict paths: %w", err)
	}
	return nil
}

// grants makes a rule for each path. The kernel refuses the rights of a folder on a file.
func grants(paths []string, rights landlock.AccessFSSet, optional bool) ([]landlock.Rule, error) {
	var rules []landlock.Rule
	for _, path := range paths {
		info, err := os.Stat(path)
		if optional && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("grant path: %w", err)
		}
		allowed := rights
		if !info.IsDir() {
			allowed &= landlockFile
		}
		rules = append(rules, landlock.PathAccess(allowed, path))
	}
	return rules, nil
}
