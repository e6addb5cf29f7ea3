package apps

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// isControl holds for what moves a cursor, hides, or ends a line.
func isControl(r rune) bool {
	return unicode.IsControl(r) && r != '\n' || r == '\u2028' || r == '\u2029' || r >= '\u202a' && r <= '\u202e' || r >= '\u2066' && r <= '\u2069'
}

// checkLine checks a text of one line with at most most characters.
func checkLine(s string, most int) error {
	if strings.ContainsFunc(s, func(r rune) bool { return r == '\n' || isControl(r) }) {
		return flaw{quote(s) + " holds a line break or a control character", "write one line of text"}
	}
	return checkText(s, most)
}

// checkText checks a text that may have several lines.
func checkText(s string, most int) error {
	if !utf8.ValidString(s) {
		return flaw{"is not UTF-8", "write plain text"}
	}
	if strings.ContainsFunc(s, func(r rune) bool { return isControl(r) && r != '\t' }) {
		return flaw{quote(s) + " holds a control character", "write plain text"}
	}
	if n := utf8.RuneCountInString(s); n > most {
		return flaw{fmt.Sprintf("has %d characters, and at most %d are read", n, most), ""}
	}
	return nil
}

// checkPath checks a path within a repository: relative, plain, and not leading out.
func checkPath(p string) error {
	switch {
	case strings.ContainsFunc(p, func(r rune) bool { return r == '\n' || isControl(r) }):
		return flaw{quote(p) + " holds a line break or a control character", ""}
	case strings.HasPrefix(p, "/"):
		return flaw{quote(p) + " is absolute", "write it relative to the folder it is in, like public/img"}
	case slices.Contains(strings.Split(p, "/"), ".."):
		return flaw{quote(p) + " leads out of its folder", "leave out the .."}
	case strings.Contains(p, `\`):
		return flaw{quote(p) + " has a backslash", "separate folders with /"}
	case path.Clean(p) != p:
		return flaw{quote(p) + " is not in its plain form", "write " + quote(path.Clean(p))}
	}
	return nil
}

// inside says whether one of two paths is the other, or in it.
func inside(a, b string) bool {
	return a == b || strings.HasPrefix(a, b+"/") || strings.HasPrefix(b, a+"/")
}

var (
	idForm      = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)
	envForm     = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	packageForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9+._:-]{0,126}[A-Za-z0-9+._]$|^[A-Za-z0-9]$`)
)

// Validate checks the form of an id.
func (id AppID) Validate() error {
	if !idForm.MatchString(string(id)) {
		return flaw{quote(string(id)) + " is not an id", "write lower-case letters, digits and hyphens, at most 40, a letter first"}
	}
	return nil
}

// checkPackage keeps options, versions and apt's trailing - (which removes) out of a package manager's arguments.
func checkPackage(name string) error {
	if !packageForm.MatchString(name) {
		return flaw{quote(name) + " is not the name of a package", "write it like php-fpm or g++"}
	}
	return nil
}

// CheckBranch follows git's own rules for the name of a branch, a tag or a commit.
func CheckBranch(name string) error {
	bad := func(why string) error {
		return flaw{quote(name) + " is not the name of a branch: " + why, ""}
	}
	switch {
	case strings.HasPrefix(name, "-"):
		return bad("it begins with -")
	case strings.ContainsFunc(name, func(r rune) bool { return r == ' ' || r == '\n' || isControl(r) }):
		return bad("it holds a space, a line break or a control character")
	case strings.ContainsAny(name, `~^:?*[\`):
		return bad(`it holds one of ~ ^ : ? * [ \`)
	case strings.Contains(name, "..") || strings.Contains(name, "@{") || name == "@":
		return bad("it holds .. or @{, or is @")
	case strings.HasPrefix(name, "/") || strings.HasSuffix(name, "/") || strings.Contains(name, "//"):
		return bad("it begins or ends with /, or holds //")
	case strings.HasSuffix(name, "."):
		return bad("it ends with a dot")
	case len(name) > 244:
		return bad("it has more than 244 bytes")
	}
	for part := range strings.SplitSeq(name, "/") {
		if strings.HasPrefix(part, ".") || strings.HasSuffix(part, ".lock") {
			return bad("a part of it begins with a dot or ends with .lock")
		}
	}
	return nil
}
