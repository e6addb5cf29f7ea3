package tree

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"unicode/utf8"
)

// Clean returns a name as it is written below a folder, "." for the folder
// itself. A name that is absolute, or has a .. in it, is refused: so is one that
// a program run in the tree would trust.
func Clean(name string) (string, error) {
	if strings.HasPrefix(name, "/") {
		return "", &EntryError{name, "is an absolute path; names must be relative to the tree"}
	}
	if len(name) > maxPath {
		return "", &LimitError{"path", maxPath}
	}
	if !utf8.ValidString(name) { // fs.FS knows no other names
		return "", &EntryError{name, "is not UTF-8; rename it, or make the archive with UTF-8 names"}
	}
	parts := slices.DeleteFunc(strings.Split(name, "/"), func(p string) bool { return p == "" || p == "." })
	for _, p := range parts {
		if why := partFault(p); why != "" {
			return "", &EntryError{name, why}
		}
	}
	if len(parts) == 0 {
		return ".", nil
	}
	return strings.Join(parts, "/"), nil
}

// partFault says what is wrong with a name between two slashes; empty: nothing.
func partFault(p string) string {
	switch {
	case p == "..":
		return "leads out of the tree by a .. in it"
	case strings.EqualFold(p, ".git"):
		return "is named .git, which programs run there would obey; leave it out"
	case p == "" || p == "." || strings.IndexByte(p, 0) >= 0 || len(p) > 255 || !utf8.ValidString(p):
		return "is no name a file can have here"
	}
	return ""
}

// checkTarget refuses a symlink that, read alone, leads out of the tree.
func checkTarget(name, target string) error {
	switch {
	case target == "" || len(target) > maxPath || strings.ContainsRune(target, 0):
		return &EntryError{name, "is a symlink to no name a file can have"}
	case strings.HasPrefix(target, "/"):
		return &EntryError{name, "is a symlink to the absolute path " + shown(target) + "; make it relative, within the tree"}
	}
	if to := path.Join(path.Dir(name), target); to == ".." || strings.HasPrefix(to, "../") {
		return &EntryError{name, "is a symlink that leads out of the tree, to " + shown(target) + "; make it point within it"}
	}
	return nil
}

func kindName(kind fs.FileMode) string {
	switch {
	case kind.IsDir():
		return "a folder"
	case kind&fs.ModeSymlink != 0:
		return "a symlink"
	case kind&fs.ModeNamedPipe != 0:
		return "a named pipe"
	case kind&fs.ModeSocket != 0:
		return "a socket"
	case kind&fs.ModeDevice != 0:
		return "a device"
	case kind.IsRegular():
		return "a file"
	}
	return fmt.Sprintf("of the kind %v", kind.Type())
}
