package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// defaultPath is searched when the environment names no PATH.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// An execError is a program that could not be started.
type execError struct {
	code   int
	reason string
}

func (e *execError) Error() string { return e.reason }

func cannot(code int, format string, args ...any) error {
	return &execError{code: code, reason: fmt.Sprintf(format, args...)}
}

// findProgram looks name up as a shell would: in the PATH of the program's own
// environment, and with the rights that are left.
func findProgram(name string, env []string) (string, error) {
	if strings.ContainsRune(name, '/') {
		return name, nil
	}
	path := defaultPath
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, "PATH="); ok {
			path = value
		}
	}
	denied := ""
	for _, dir := range filepath.SplitList(path) {
		if !filepath.IsAbs(dir) {
			continue // the current folder is a stranger's
		}
		candidate := filepath.Join(dir, name)
		if info, err := os.Stat(candidate); err != nil || !info.Mode().IsRegular() {
			continue
		}
		if unix.Access(candidate, unix.X_OK) == nil {
			return candidate, nil
		}
		denied = candidate
	}
	if denied != "" {
		return "", cannot(codeCannot, "%s may not be run by this user; make it executable for everybody (chmod 755)", denied)
	}
	return "", cannot(codeNotFound, "%s: no such program in %s; list its package under packages in app.yaml, or name the program by its path", name, path)
}

// explainExec turns the error of an execve into a sentence.
func explainExec(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if _, statErr := os.Stat(path); statErr == nil {
			return cannot(codeNotFound, "%s names an interpreter in its first line, or a loader, that is not on this machine; list its package under packages in app.yaml", path)
		}
		return cannot(codeNotFound, "%s: no such program; check the path, which is taken from the folder the program starts in", path)
	case errors.Is(err, fs.ErrPermission):
		if info, statErr := os.Stat(path); statErr == nil && info.IsDir() {
			return cannot(codeCannot, "%s is a folder, not a program; name the program in it", path)
		}
		return cannot(codeCannot, "%s may not be run by this user; make it executable for everybody (chmod 755)", path)
	case errors.Is(err, syscall.ENOEXEC):
		return cannot(codeCannot, "%s is neither a program for this machine nor a script that begins with #!; check its architecture, or add the first line", path)
	case errors.Is(err, syscall.E2BIG):
		return cannot(codeCannot, "%s: its arguments and settings are larger than a program can be given; make the largest setting a file", path)
	default:
		return cannot(codeCannot, "run %s: %v", path, err)
	}
}
