package signature

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
)

// FuzzSplit: what was signed and the signature are parts of the commit, and a
// commit without a signature is what was signed.
func FuzzSplit(f *testing.F) {
	for _, seed := range []string{
		"tree 1\nauthor A <a> 1 +0000\ncommitter C <c> 1778414400 +0000\n\nmessage\n",
		"tree 1\ncommitter C <c> 1 +0000\ngpgsig -----BEGIN SSH SIGNATURE-----\n abc\n -----END SSH SIGNATURE-----\n\nmessage",
		"tree 1\ngpgsig-sha256 x\n y\ngpgsig a\n b\nencoding x\n\ngpgsig c\n",
		"tree 1\nmergetag object 2\n gpgsig x\n y\ngpgsig a", "tree 1\ngpgsig a\ngpgsig b\n\n", "tree ", "", "tree \n\n\n gpgsig ",
		"tree 1\ncommitter > 99999999999999999999 x\n", "tree 1\n gpgsig a\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, commit []byte) {
		s, err := split(commit)
		if err != nil {
			return
		}
		if len(s.payload)+len(s.signature) > len(commit) {
			t.Fatalf("%q has more parts than bytes", commit)
		}
		headers, _, _ := bytes.Cut(s.payload, []byte("\n\n"))
		for line := range bytes.Lines(headers) {
			if bytes.HasPrefix(line, []byte("gpgsig ")) {
				t.Fatalf("%q: a signature is left in what was signed", commit)
			}
		}
		again, err := split(s.payload)
		if err != nil || len(again.signature) > 0 || !bytes.Equal(again.payload, s.payload) || !again.committed.Equal(s.committed) {
			t.Fatalf("%q: what was signed is not the same again: %+v, %v", commit, again, err)
		}
	})
}

// FuzzParseAllowed: whatever a list holds, it is read or its errors name lines.
func FuzzParseAllowed(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8BQ1wIvtYtcSBzA5XU1r3BqkVqZB5eYx3lQ0p2n3aB"
	for _, seed := range []string{
		"anna@example.org " + key, `"anna, bert" namespaces="git,!file",valid-after="20260501Z" ` + key + " c", `a valid-before="x" ` + key, "a cert-authority " + key,
		"# nobody", keyStart + "\n\n" + keyEnd, keyStart, "-----BEGIN OPENSSH PRIVATE KEY-----", `a namespaces="\"" ` + key, "a \r" + key,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := ParseAllowed(text)
		if err == nil {
			if len(a.ssh)+len(a.openPGP) == 0 {
				t.Fatalf("%q allows nobody, without an error", text)
			}
			return
		}
		joined, ok := err.(interface{ Unwrap() []error })
		if !ok {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, e := range joined.Unwrap() {
			var at *LineError
			if !errors.As(e, &at) || at.Line < 1 || at.Line > lines {
				t.Fatalf("%q: %v names no line", text, e)
			}
		}
	})
}

// FuzzVerify: no commit is good where nobody is allowed, and none ends the program.
func FuzzVerify(f *testing.F) {
	for _, kind := range []string{"SSH SIGNATURE", "PGP SIGNATURE", "SIGNED MESSAGE"} {
		f.Add([]byte("tree 1\ngpgsig -----BEGIN "+kind+"-----\n \n U1NIU0lHAAAAAQ==\n -----END "+kind+"-----\n\nx"), []byte(nil))
	}
	f.Add([]byte("tree 1\n\nx"), []byte("U1NIU0lH"))
	f.Fuzz(func(t *testing.T, commit, more []byte) {
		if signer, err := Verify(slices.Concat(commit, more), Allowed{}); err == nil {
			t.Fatalf("signed by %q, and nobody is allowed", signer)
		}
	})
}
