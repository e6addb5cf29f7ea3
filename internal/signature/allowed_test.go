package signature

import (
	"errors"
	"os"
	"strings"
	"testing"
)

func TestMalformedAllowedSigners(t *testing.T) {
	_, public := newSSHKey(t, "ed25519")
	good := "anna@example.org " + public + "\n"
	for name, test := range map[string]struct {
		text string
		line int
		want string
	}{
		"one word":          {good + "bert@example.org", 2, "there is one word"},
		"a key alone":       {good + "\n" + public, 3, "no line of allowed_signers"},
		"no key":            {"bert@example.org is a friend", 1, "no line of allowed_signers"},
		"half a key":        {"bert@example.org " + public[:40], 1, "no line of allowed_signers"},
		"open quotes":       {`"bert@example.org ` + public, 1, "not closed"},
		"nobody":            {`"" ` + public, 1, "one word"},
		"an authority":      {"*@example.org cert-authority " + public, 1, "cert-authority"},
		"an unknown word":   {`bert@example.org no-touch-required ` + public, 1, `"no-touch-required" is none of`},
		"no quotes":         {`bert@example.org namespaces=git ` + public, 1, "in quotes"},
		"an empty list":     {`bert@example.org namespaces="" ` + public, 1, "in quotes"},
		"no time":           {`bert@example.org valid-after="tomorrow" ` + public, 1, "is no time"},
		"no such day":       {`bert@example.org valid-before="20260231" ` + public, 1, "is no time"},
		"never":             {`bert@example.org valid-after="20260601",valid-before="20260501" ` + public, 1, "never counts"},
		"half an OpenPGP":   {good + keyStart + "\n\nabc", 2, "no end"},
		"no OpenPGP":        {good + keyStart + "\n\nabc\n" + keyEnd, 2, "cannot be read"},
		"a private OpenPGP": {good + "-----BEGIN PGP PRIVATE KEY BLOCK-----\n\nabc", 2, "private key"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseAllowed(test.text)
			wants(t, err, test.want)
			var at *LineError
			if !errors.As(err, &at) || at.Line != test.line {
				t.Errorf("%v is not about line %d", err, test.line)
			}
		})
	}
}

func TestEveryWrongLineIsNamed(t *testing.T) {
	_, err := ParseAllowed("one\n# two\nthree\n")
	wants(t, err, "line 1: ")
	wants(t, err, "line 3: ")
}

func TestNobodyIsAllowed(t *testing.T) {
	for _, text := range []string{"", "\n# nobody yet\n"} {
		_, err := ParseAllowed(text)
		wants(t, err, "nobody among the allowed signers")
	}
	_, err := ParseAllowed(strings.Repeat("#\n", maxAllowed))
	wants(t, err, "is the limit")
}

func TestPrivateKeyIsNotRepeated(t *testing.T) {
	file, _ := newSSHKey(t, "ed25519")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, err = ParseAllowed(string(text))
	wants(t, err, "line 1: this is a private key")
	if strings.Contains(err.Error(), "line 2") {
		t.Errorf("goes on after a private key: %v", err)
	}
}
