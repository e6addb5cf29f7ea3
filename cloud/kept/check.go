package kept

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"runtime"
	"slices"

	"golang.org/x/sys/unix"

	"popup/console"
	"popup/internal/wire"
	"popup/userdata"
)

// NewID is an id for a machine, as EC2's are; no other ever has it.
func NewID() string {
	var id [9]byte
	_, _ = rand.Read(id[:]) // it never fails
	return "i-" + hex.EncodeToString(id[:])[:17]
}

// CheckServe refuses addresses that machines elsewhere have, and those of a host here
// share with it.
func CheckServe(host string, s wire.Serve) error {
	var errs []error
	if len(s.Domains) > 0 {
		errs = append(errs, fmt.Errorf("an instance on this machine has a port of %s and no name of its own, so it cannot be %s; launch without a domain, or on another cloud",
			host, s.Domains[0]))
	}
	if s.Listen != "" && s.Listen != ":80" {
		errs = append(errs, fmt.Errorf("an instance on this machine is given a free port, and cannot choose %s; leave listen out, or launch on another cloud", s.Listen))
	}
	return errors.Join(errs...)
}

// CheckMachine joins what speaks against a whole machine for l that is kept in opts.Dir,
// and made by programs, which are each beside the package that has it.
func CheckMachine(opts Options, l console.Launch, programs map[string]string) error {
	var errs []error
	for _, program := range slices.Sorted(maps.Keys(programs)) {
		if _, err := exec.LookPath(program); err != nil {
			errs = append(errs, fmt.Errorf("%s is not installed on this machine; apt-get install %s, or launch on another cloud", program, programs[program]))
		}
	}
	if len(l.Architectures) > 0 && !slices.Contains(l.Architectures, runtime.GOARCH) {
		errs = append(errs, fmt.Errorf("it runs on %v, and this machine is %s; launch on another cloud", l.Architectures, runtime.GOARCH))
	}
	if len(l.UserData) > 0 {
		if plan, err := userdata.Read(l.UserData); err != nil {
			errs = append(errs, err)
		} else {
			errs = append(errs, CheckServe(opts.Host, plan.Serve))
		}
	}
	return errors.Join(append(errs, checkSpace(opts.Dir, l.Disk))...)
}

// leastSpace is what a machine, and at first its image, may want for itself, in bytes.
const leastSpace = 3 << 30

func checkSpace(dir string, app int64) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(dir, &disk); err != nil {
		return fmt.Errorf("look at the disk of %s: %w", dir, err)
	}
	free, want := int64(disk.Bavail)*disk.Bsize, leastSpace+app
	if free < want {
		return fmt.Errorf("the disk of %s has %d MB free, and a machine for it wants %d MB; end instances that are over, or free space there", dir, free>>20, want>>20)
	}
	return nil
}
