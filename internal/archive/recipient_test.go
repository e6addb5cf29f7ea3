package archive

import (
	"strings"
	"testing"
)

func TestRecipientOf(t *testing.T) {
	identity, recipient, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{identity, "# created: today\n# public key: " + recipient + "\n" + identity + "\n"} {
		if got, err := RecipientOf(text); err != nil || got != recipient {
			t.Errorf("%s, %v", got, err)
		}
	}
	for _, text := range []string{"", "hush", recipient, identity + "\n" + identity} {
		if _, err := RecipientOf(text); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
