package client

import (
	"strings"
	"unicode"
)

// Plain is text as it may be shown on a terminal: what would move the cursor, change
// the direction of what is beside it or otherwise say something else than it seems to
// is replaced. Lines and tabs stay.
func Plain(text string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.In(r, unicode.Bidi_Control, unicode.Zl, unicode.Zp)) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
