package console

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	mostTitle   = 120  // characters
	mostName    = 63   // as of a label in DNS
	mostAddress = 2000 // characters of a URL that somebody gives
)

var nameForm = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// checkName says what is wrong with an event's name.
func checkName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("a name has 1 to %d lower-case letters, digits and hyphens, and no hyphen at either end: it is part of the event's address", mostName)
	}
	return nil
}

// checkTitle says what is wrong with what people are shown.
func checkTitle(title string) error {
	switch {
	case !utf8.ValidString(title):
		return errors.New("that is no text; write it in UTF-8")
	case utf8.RuneCountInString(title) > mostTitle:
		return fmt.Errorf("a title has at most %d characters", mostTitle)
	case strings.ContainsFunc(title, misleads):
		return errors.New("a title is one line, without characters that turn round or hide what is beside them")
	}
	return nil
}

// misleads tells characters that move others about: new lines and other controls, and
// those that change the direction of what is around them.
func misleads(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}

// nameOf makes a name of a title; empty where nothing of it is fit for one.
func nameOf(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r >= 'a' && r <= 'z' || r >= '0' && r <= '9':
			b.WriteRune(r)
		case latin[r] != "":
			b.WriteString(latin[r])
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	name := b.String()
	return strings.Trim(name[:min(len(name), mostSlug)], "-")
}

// mostSlug leaves room for a number after it.
const mostSlug = 40

// latin is how letters of Europe's languages are written without their marks.
var latin = map[rune]string{
	'ä': "ae", 'ö': "oe", 'ü': "ue", 'ß': "ss", 'æ': "ae", 'ø': "oe", 'å': "aa", 'œ': "oe",
	'à': "a", 'á': "a", 'â': "a", 'ã': "a", 'ą': "a", 'ç': "c", 'ć': "c", 'č': "c", 'ď': "d", 'đ': "d",
	'è': "e", 'é': "e", 'ê': "e", 'ë': "e", 'ę': "e", 'ě': "e", 'ğ': "g", 'ì': "i", 'í': "i", 'î': "i", 'ï': "i", 'ı': "i",
	'ł': "l", 'ñ': "n", 'ń': "n", 'ň': "n", 'ò': "o", 'ó': "o", 'ô': "o", 'õ': "o", 'ő': "o", 'ř': "r",
	'ś': "s", 'š': "s", 'ş': "s", 'ť': "t", 'ù': "u", 'ú': "u", 'û': "u", 'ů': "u", 'ű': "u", 'ý': "y", 'ź': "z", 'ż': "z", 'ž': "z",
}

// parseAddress reads a web address that a stranger gave. Its error does not repeat it:
// those of webhooks often are secrets.
func parseAddress(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	switch {
	case len(address) > mostAddress:
		return nil, fmt.Errorf("an address has at most %d characters", mostAddress)
	case err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" || strings.ContainsFunc(address, notOfAddress):
		return nil, errors.New("that is no web address; write it like https://example.org/hook")
	case u.User != nil:
		return nil, errors.New("the address has a user or a password before its @; use one that needs none")
	}
	return u, nil
}

func notOfAddress(r rune) bool { return r <= ' ' || r >= 0x7f }

// bare is err without the address that it was met at.
func bare(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}
