package userdata

import (
	"regexp"
	"strings"
)

// scpForm is user@host:path, as SSH repositories are often written.
var scpForm = regexp.MustCompile(`^([A-Za-z0-9._-]+@)?[A-Za-z0-9.-]+:[^/]`)

// isURL tells an address on some machine from a folder's path.
func isURL(address string) bool {
	return strings.Contains(address, "://") || scpForm.MatchString(address)
}

// splitRef parts URL[#REF].
func splitRef(given string) (address, ref string) {
	address, ref, _ = strings.Cut(given, "#")
	return address, ref
}
