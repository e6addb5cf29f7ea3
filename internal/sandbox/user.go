package sandbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// userTimeout bounds one call of the machine's own programs for accounts. They
// wait up to 15 s for each other.
const userTimeout = time.Minute

// userName is what every system takes as the name of an account.
var userName = regexp.MustCompile(`^[a-z_][a-z0-9_-]{0,30}$`)

// EnsureUser returns the account of that name. Where there is none it is made: a
// system account with a group of the same name, without a home, a password or a
// shell. Making it needs root. It may be called by several processes at once.
func EnsureUser(name string) (User, error) {
	if !userName.MatchString(name) {
		return User{}, fmt.Errorf("user %q: a user's name begins with a-z or _, goes on with those, digits and hyphens, and has at most 31 characters", name)
	}
	found, err := lookupUser(name)
	var unknown user.UnknownUserError
	if !errors.As(err, &unknown) {
		return found, err
	}
	if os.Geteuid() != 0 {
		return User{}, fmt.Errorf("create user %s: only root may create a user; start popup as root, or create it by hand", name)
	}
	if err := createUser(name, findTool); err != nil {
		if found, lookupErr := lookupUser(name); lookupErr == nil {
			return found, nil // somebody else made it meanwhile
		}
		return User{}, fmt.Errorf("create user %s: %w", name, err)
	}
	return lookupUser(name)
}

func lookupUser(name string) (User, error) {
	account, err := user.Lookup(name)
	if err != nil {
		return User{}, fmt.Errorf("look up user %s: %w", name, err)
	}
	uid, uidErr := strconv.ParseUint(account.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(account.Gid, 10, 32)
	if err := errors.Join(uidErr, gidErr); err != nil {
		return User{}, fmt.Errorf("look up user %s: %w", name, err)
	}
	if uid == 0 {
		return User{}, fmt.Errorf("look up user %s: it is another name of root; remove it from /etc/passwd, or choose another", name)
	}
	return User{Name: name, UID: uint32(uid), GID: uint32(gid)}, nil
}

// errNoUserTool says what to install.
var errNoUserTool = errors.New("this machine has neither useradd nor busybox adduser; install the package passwd (or shadow), or create the user by hand")

// createUser uses what the machine has: useradd nearly everywhere, busybox on Alpine.
func createUser(name string, find func(string) (string, bool)) error {
	if useradd, ok := find("useradd"); ok {
		return runTool(useradd, "--system", "--user-group", "--no-create-home", "--home-dir", "/nonexistent",
			"--shell", nologin(find), "--comment", "an app that popup runs", name)
	}
	addgroup, group := find("addgroup")
	adduser, account := find("adduser")
	if !group || !account {
		return errNoUserTool
	}
	groupErr := runTool(addgroup, "-S", name) // also fails when the group is there, and then adduser takes it
	if err := runTool(adduser, "-S", "-D", "-H", "-h", "/nonexistent", "-s", nologin(find), "-G", name, name); err != nil {
		return errors.Join(err, groupErr)
	}
	return nil
}

// sbin is where tools for root are; it is not in every PATH.
var sbin = []string{"/usr/sbin", "/sbin"}

func findTool(name string) (string, bool) {
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	for _, dir := range sbin {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, true
		}
	}
	return "", false
}

func nologin(find func(string) (string, bool)) string {
	if path, ok := find("nologin"); ok {
		return path
	}
	return "/bin/false"
}

// runTool runs one of the machine's programs; its error has what it printed.
func runTool(argv ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), userTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = []string{"PATH=" + defaultPath, "LANG=C.UTF-8"}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s: %w: %s", filepath.Base(argv[0]), err, strings.TrimSpace(string(out)))
	}
	return nil
}
