package wire

import (
	"crypto/ed25519"
	"crypto/sha256"
	"strings"
	"testing"
)

// TestSignatureOverADigest is the one over the body, and no other digest's.
func TestSignatureOverADigest(t *testing.T) {
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte("an archive")
	sum, other := sha256.Sum256(body), sha256.Sum256(nil)
	whole := Signed{Method: "PUT", Path: PathVault + "a", Instance: "fair-7", Body: body}
	hashed := whole
	hashed.Body, hashed.Digest = nil, sum[:]
	if whole.Sign(private) != hashed.Sign(private) || !whole.VerifiedBy(public, hashed.Sign(private)) {
		t.Error("the signatures differ")
	}
	for name, digest := range map[string][]byte{"another": other[:], "none": nil, "an empty one": {}, "half of it": sum[:16], "more": append(sum[:], 0)} {
		hashed.Digest = digest
		if hashed.VerifiedBy(public, whole.Sign(private)) {
			t.Errorf("%s: verified", name)
		}
	}
}

func TestParseDigest(t *testing.T) {
	sum := sha256.Sum256([]byte("an archive"))
	if got, err := ParseDigest(Digest(sum[:])); err != nil || string(got) != string(sum[:]) {
		t.Errorf("%x, %v", got, err)
	}
	text := Digest(sum[:])
	for name, wrong := range map[string]string{"none": "", "half": text[:22], "a line more": text + "\n", "garbage": strings.Repeat("~", 44), "hexadecimal": strings.Repeat("0", 64)} {
		if _, err := ParseDigest(wrong); err == nil || err.Error() != "Popup-Digest is not the SHA-256 of a body as base64" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnswersOfAVaultAreBounded(t *testing.T) {
	if _, err := ParseKept([]byte(strings.Repeat(" ", MaxKept-1) + "{}")); err == nil || !strings.Contains(err.Error(), "it has more than 65536 bytes") {
		t.Errorf("kept: %v", err)
	}
	if _, err := ParseVaultList([]byte(strings.Repeat(" ", MaxVaultList-1) + "{}")); err == nil || !strings.Contains(err.Error(), "it has more than 1048576 bytes") {
		t.Errorf("list: %v", err)
	}
	if _, err := ParseVaultList([]byte("{}")); err == nil || !strings.Contains(err.Error(), "it has no version") {
		t.Errorf("no version: %v", err)
	}
}

// FuzzParseVaultList: what is read is whole, or an error that says so in few words.
func FuzzParseVaultList(f *testing.F) {
	for _, seed := range []string{"", "null", "[]", `{"version": 1}`, `{"version": 2, "archives": [{"name": "../x", "size": -1, "since": "2026-05-31T22:00:00Z"}], "more": 1}`, `{"version": 1, "archives": 7}`,
		`{"version": 1, "archives": [{"since": "` + strings.Repeat("x", 1000) + `"}]}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		l, err := ParseVaultList(body)
		if err == nil && l.Version < 1 || err != nil && (len(l.Archives) > 0 || len(err.Error()) > 512) {
			t.Errorf("%+v, %v", l, err)
		}
		if _, err := ParseKept(body); err != nil && len(err.Error()) > 512 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
