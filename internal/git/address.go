package git

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

// An address is where a repository is, taken apart.
type address struct {
	text       string
	scheme     string // http, https, ssh, or file
	user, host string // host may carry a port
	path       string // of http: escaped
}

func (a address) local() bool { return a.scheme == "file" }

var (
	scpForm    = regexp.MustCompile(`^(?:([A-Za-z0-9_][A-Za-z0-9_.-]*)@)?([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):([^:].*)$`)
	sshUser    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*$`)
	userinfo   = regexp.MustCompile(`://[^/\s?#]*@`)
	secretPair = regexp.MustCompile(`^[^/\s]*:[^/\s]*@`)
)

const addressHelp = "write one like https://example.org/owner/name.git or git@example.org:owner/name.git"

// CheckURL says what is wrong with the address of a repository. Its message never
// holds a password.
func CheckURL(address string) error {
	_, err := parseAddress(address)
	return err
}

// Redact returns an address, or a text that holds addresses, without what stands
// before the @ of a URL.
func Redact(text string) string {
	text = userinfo.ReplaceAllString(text, "://")
	return secretPair.ReplaceAllString(text, "")
}

func parseAddress(text string) (address, error) {
	switch {
	case text == "":
		return address{}, errors.New("the repository's address is empty; " + addressHelp)
	case strings.HasPrefix(text, "-"):
		return address{}, errors.New("the repository's address begins with -, which a program would take for an option; " + addressHelp)
	case strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return address{}, errors.New("the repository's address holds a line break or a control character; write it on one line")
	case len(text) > 2048:
		return address{}, errors.New("the repository's address has more than 2048 bytes")
	case strings.Contains(text, "://"):
		return parseURL(text)
	case strings.HasPrefix(text, "/") || strings.HasPrefix(text, ".") || !strings.Contains(text, ":"):
		return parsePath(text)
	}
	m := scpForm.FindStringSubmatch(text)
	if m == nil || m[1] == "" && strings.Contains(m[3], "@") {
		return address{}, errors.New("that is not the address of a repository (it may hold a password and is not repeated); " + addressHelp)
	}
	if strings.HasPrefix(m[3], "-") {
		return address{}, errors.New("the repository's path begins with -, which a program would take for an option")
	}
	return address{text: text, scheme: "ssh", user: m[1], host: m[2], path: m[3]}, nil
}

func parsePath(text string) (address, error) {
	path, err := filepath.Abs(text)
	if err != nil {
		return address{}, fmt.Errorf("find repository: %w", err)
	}
	return address{text: text, scheme: "file", path: path}, nil
}

// parseURL never puts the URL's text into an error: it may hold a password.
func parseURL(text string) (address, error) {
	u, err := url.Parse(text)
	if err != nil {
		return address{}, errors.New("the repository's address is not a URL; " + addressHelp)
	}
	a := address{text: text, scheme: u.Scheme, user: u.User.Username(), host: u.Host, path: u.Path}
	if u.RawQuery != "" || u.Fragment != "" {
		return address{}, errors.New("the repository's address has a ? or # in it; write it alone, and the branch in its own field")
	}
	if _, has := u.User.Password(); has {
		return address{}, errors.New("the repository's address carries a password, which everybody who reads it would have; use a credentials file")
	}
	switch u.Scheme {
	case "http", "https":
		a.path = strings.TrimRight(u.EscapedPath(), "/")
		if a.user != "" {
			return address{}, errors.New("the repository's address carries a user name or a token, which everybody who reads it would have; use a credentials file")
		}
	case "ssh":
		if a.user != "" && !sshUser.MatchString(a.user) || strings.HasPrefix(strings.TrimLeft(u.Path, "/"), "-") {
			return address{}, errors.New("the repository's address has a user or a path that no server has; " + addressHelp)
		}
		if strings.HasPrefix(a.path, "/~") {
			a.path = a.path[1:]
		}
	case "file":
		if u.Host != "" || u.Path == "" {
			return address{}, errors.New("the repository's address is no file URL; write one like file:///srv/name.git")
		}
		return a, nil
	case "git":
		return address{}, errors.New("the git:// protocol neither encrypts nor proves who answers; use https:// or ssh://")
	default:
		return address{}, fmt.Errorf("repositories are not fetched by %s; use https, ssh, http or file", strconv.Quote(u.Scheme))
	}
	if u.Hostname() == "" || strings.HasPrefix(u.Host, "-") {
		return address{}, errors.New("the repository's address names no host; " + addressHelp)
	}
	return a, nil
}
