package signature

import (
	"errors"
	"fmt"
	"strings"
	"time"

	openpgp "github.com/ProtonMail/go-crypto/openpgp/v2"
	"golang.org/x/crypto/ssh"
)

// maxAllowed bounds the text of allowed signers, in bytes.
const maxAllowed = 256 << 10

// Allowed are the keys whose signatures count. The zero value allows nobody.
type Allowed struct {
	ssh     []sshSigner
	openPGP openpgp.EntityList
}

// A LineError is what is wrong with a line of a text of allowed signers.
type LineError struct {
	Line int // from 1
	Why  string
}

func (e *LineError) Error() string { return fmt.Sprintf("line %d: %s", e.Line, e.Why) }

const (
	keyStart     = "-----BEGIN PGP PUBLIC KEY BLOCK-----"
	keyEnd       = "-----END PGP PUBLIC KEY BLOCK-----"
	privateStart = "-----BEGIN "
)

// ParseAllowed reads who may sign: lines as OpenSSH's allowed_signers has them,
// among which may stand armored OpenPGP public keys. Times without a Z are UTC as
// well, so that they mean the same everywhere. The error joins a *LineError for
// everything that is wrong.
func ParseAllowed(text string) (Allowed, error) {
	if len(text) > maxAllowed {
		return Allowed{}, fmt.Errorf("the allowed signers take %d bytes, and %d is the limit; leave out what signs nothing here", len(text), maxAllowed)
	}
	var a Allowed
	var wrong []error
	lines := strings.Split(text, "\n")
	for i := 0; i < len(lines); i++ {
		line, at := strings.TrimSpace(lines[i]), i+1
		var err error
		switch {
		case line == "", strings.HasPrefix(line, "#"):
		case line == keyStart:
			if i = endOfKey(lines, i); i == len(lines) {
				err = fmt.Errorf("this OpenPGP key has no end: the line %s is missing", keyEnd)
				break
			}
			err = a.addOpenPGP(strings.Join(lines[at-1:i+1], "\n"))
		case strings.HasPrefix(line, privateStart) && strings.Contains(line, "PRIVATE"):
			i = len(lines)
			err = errors.New("this is a private key; take it out of here, and name its public half")
		default:
			err = a.addSSH(line)
		}
		if err != nil {
			wrong = append(wrong, &LineError{at, err.Error()})
		}
	}
	if len(wrong) == 0 && len(a.ssh) == 0 && len(a.openPGP) == 0 {
		return Allowed{}, errors.New("there is nobody among the allowed signers, so that nothing could be published; name a key")
	}
	return a, errors.Join(wrong...)
}

// endOfKey is the line that ends the armored key which begins at from, or len(lines).
func endOfKey(lines []string, from int) int {
	for i := from; i < len(lines); i++ {
		if strings.TrimSpace(lines[i]) == keyEnd {
			return i
		}
	}
	return len(lines)
}

func (a *Allowed) addOpenPGP(armored string) error {
	keys, err := openpgp.ReadArmoredKeyRing(strings.NewReader(armored))
	if err != nil {
		return fmt.Errorf("this OpenPGP key cannot be read: %w", err)
	}
	if len(keys) == 0 {
		return errors.New("this OpenPGP block holds no key; write it with gpg --armor --export")
	}
	a.openPGP = append(a.openPGP, keys...)
	return nil
}

// addSSH reads a line "principals [options] type key [comment]".
func (a *Allowed) addSSH(line string) error {
	principals, rest, err := cutPrincipals(line)
	if err != nil {
		return err
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey([]byte(rest))
	if err != nil {
		return errors.New(`this is no line of allowed_signers; write one like: anna@example.org namespaces="git" ssh-ed25519 AAAA…`)
	}
	if _, ok := key.(*ssh.Certificate); ok {
		return errors.New("this is a certificate, and certificates are not read; name the key itself")
	}
	if err := checkSSHKey(key); err != nil {
		return err
	}
	s := sshSigner{principals: principals, key: key}
	for _, option := range options {
		if err := s.set(option); err != nil {
			return err
		}
	}
	if !s.after.IsZero() && !s.before.IsZero() && !s.after.Before(s.before) {
		return errors.New("valid-after is not before valid-before, so that this key never counts")
	}
	a.ssh = append(a.ssh, s)
	return nil
}

// cutPrincipals takes the first word off a line; it may stand in quotes.
func cutPrincipals(line string) (principals, rest string, err error) {
	if quoted, ok := strings.CutPrefix(line, `"`); ok {
		if principals, rest, ok = strings.Cut(quoted, `"`); !ok {
			return "", "", errors.New("the quotes around its principals are not closed")
		}
	} else if at := strings.IndexAny(line, " \t"); at > 0 {
		principals, rest = line[:at], line[at:]
	}
	if rest = strings.TrimSpace(rest); strings.TrimSpace(principals) == "" || rest == "" {
		return "", "", errors.New("there is one word; first comes who signs, as anna@example.org, and then the key")
	}
	return principals, rest, nil
}

// set takes one option of a line.
func (s *sshSigner) set(option string) error {
	name, value, given := strings.Cut(option, "=")
	name = strings.ToLower(name)
	if name == "cert-authority" {
		return errors.New("cert-authority lets a key vouch for others, which is not supported; name the keys themselves")
	}
	if name != "namespaces" && name != "valid-after" && name != "valid-before" {
		return fmt.Errorf("the option %q is none of namespaces, valid-after, valid-before", name)
	}
	inside, opened := strings.CutPrefix(value, `"`)
	inside, closed := strings.CutSuffix(inside, `"`)
	if !given || !opened || !closed || strings.TrimSpace(inside) == "" {
		return fmt.Errorf(`the option %s wants a value in quotes, as in %s="…"`, name, name)
	}
	var err error
	switch name {
	case "namespaces":
		s.namespaces = inside
	case "valid-after":
		s.after, err = parseTime(name, inside)
	case "valid-before":
		s.before, err = parseTime(name, inside)
	}
	return err
}

// parseTime reads YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS, with a Z or without.
func parseTime(option, text string) (time.Time, error) {
	digits := strings.TrimSuffix(text, "Z")
	for _, layout := range []string{"20060102", "200601021504", "20060102150405"} {
		if t, err := time.Parse(layout, digits); err == nil && len(digits) == len(layout) {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s=%q is no time; write it as 20260531, or 202605311800", option, text)
}
