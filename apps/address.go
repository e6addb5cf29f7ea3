package apps

import (
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// What the addresses below may begin with.
var (
	gitSchemes = []string{"https", "http", "ssh", "file"}
	webSchemes = []string{"https", "http"}
)

var (
	scpForm   = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*@([A-Za-z0-9][A-Za-z0-9.-]*|\[[0-9A-Fa-f:]+\]):[^:-]`)
	bareHost  = regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)+/`)
	oddInHost = regexp.MustCompile(`[^A-Za-z0-9.:_\[\]-]|^-`)
)

const repositoryHelp = "write one like https://example.org/owner/name.git or git@example.org:owner/name.git"

// CheckRepository says what is wrong with the address of a git repository. Right
// are https, http, ssh, git and file URLs, user@host:path, and folders that are
// absolute or begin with ./ or ../. No message of it holds a password.
func CheckRepository(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	switch {
	case strings.Contains(address, "://") && strings.ContainsAny(address, "?#"):
		return flaw{"has a ? or # in it", "write the repository's address alone; a branch has its own field"}
	case strings.Contains(address, "://"):
		return checkURL(address, gitSchemes)
	case isFolder(address):
		return nil
	case scpForm.MatchString(address):
		return nil
	case bareHost.MatchString(address):
		return flaw{quote(address) + " has no scheme", "write https://" + strings.Trim(quote(address), `"`)}
	case strings.Contains(address, "@"):
		return flaw{"is not the address of a repository (what stands there may hold a password and is not repeated)", repositoryHelp}
	}
	return flaw{quote(address) + " is not the address of a repository", repositoryHelp + ", or a folder like ./name"}
}

// IsRemote says whether an argument is meant as the address of a repository
// (a URL, or user@host:path) and not as a folder, a file or the id of an app.
func IsRemote(address string) bool {
	return strings.Contains(address, "://") || scpForm.MatchString(address)
}

// IsLocal says whether an address is on this machine: a folder, or a file URL.
func IsLocal(address string) bool {
	scheme, _, _ := strings.Cut(address, ":")
	return isFolder(address) || strings.EqualFold(scheme, "file")
}

// isFolder says whether an address is a folder of this machine.
func isFolder(address string) bool {
	return address == "." || address == ".." ||
		strings.HasPrefix(address, "/") || strings.HasPrefix(address, "./") || strings.HasPrefix(address, "../")
}

// checkAddress refuses what no kind of address may be.
func checkAddress(address string) error {
	switch {
	case strings.HasPrefix(address, "-"):
		return flaw{"begins with -, which a program would take for an option", repositoryHelp}
	case strings.ContainsFunc(address, func(r rune) bool { return r == '\n' || isControl(r) }):
		return flaw{"holds a line break or a control character", "write the address on one line"}
	case strings.ContainsAny(address, " \\"):
		return flaw{"holds a space or a backslash", "write a space in a URL as %20"}
	case len(address) > 2048:
		return flaw{"has more than 2048 bytes", ""}
	}
	return nil
}

// checkURL checks an address with a scheme. The text of the URL is never put
// into an error: url.Parse's own errors hold it whole, with its password.
func checkURL(address string, schemes []string) error {
	u, err := url.Parse(address)
	if err != nil {
		return flaw{"is not a URL", "write one like https://example.org/path"}
	}
	if !slices.Contains(schemes, u.Scheme) {
		return flaw{fmt.Sprintf("the scheme %s is not one that is fetched", quote(u.Scheme)), "use one of " + strings.Join(schemes, " ")}
	}
	if u.User != nil {
		if _, has := u.User.Password(); has {
			return flaw{"carries a password, which everybody who reads it would have", "leave it out and use a credentials file"}
		}
		if u.Scheme != "ssh" {
			return flaw{"carries a user name or a token, which everybody who reads it would have", "leave it out and use a credentials file"}
		}
	}
	if u.User != nil && strings.HasPrefix(u.User.Username(), "-") || oddInHost.MatchString(u.Host) {
		return flaw{"has a user or host that no server has", "write one like https://example.org/path"}
	}
	if (u.Host == "") != (u.Scheme == "file") {
		if u.Scheme == "file" {
			return flaw{"names a host", "a file URL is file:///path"}
		}
		return flaw{"names no host", "write one like https://example.org/path"}
	}
	return nil
}

// checkWebsite checks the address of a page.
func checkWebsite(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	if !strings.Contains(address, "://") {
		return flaw{quote(address) + " is not the address of a page", "write one like https://example.org"}
	}
	return checkURL(address, webSchemes)
}

// SameRepository says whether two addresses lead to the same repository, however they
// are written (scheme, user, .git, the host's case).
func SameRepository(a, b string) bool { return sameRepository(a) == sameRepository(b) }

// sameRepository is an address in the one form that equal repositories share:
// without scheme, user, .git and slashes at the end, and with the host in lower
// case.
func sameRepository(address string) string {
	host, rest, cut := "", address, false
	if scheme, after, ok := strings.Cut(address, "://"); ok && scheme != "file" {
		host, rest, cut = cutHost(after, "/")
	} else if scpForm.MatchString(address) {
		host, rest, cut = cutHost(address, ":")
	}
	rest = strings.TrimSuffix(strings.TrimRight(rest, "/"), ".git")
	if !cut {
		return rest
	}
	return strings.ToLower(host) + "/" + strings.TrimLeft(rest, "/")
}

func cutHost(s, separator string) (host, rest string, ok bool) {
	host, rest, ok = strings.Cut(s, separator)
	if _, after, user := strings.Cut(host, "@"); user {
		host = after
	}
	return host, rest, ok
}
