package console

import (
	"bytes"
	"regexp"
	"strings"
	"testing"
)

func TestSecrets(t *testing.T) {
	form := regexp.MustCompile(`^[a-z2-7]{58}$`)
	seen := map[string]bool{}
	for range 100 {
		secret, kept := newSecret()
		hash, ok := hashSecret(secret)
		if !form.MatchString(secret) || !ok || len(hash) != 32 || !bytes.Equal(hash, kept) || seen[string(hash)] {
			t.Fatalf("%q, %x, %v", secret, hash, ok)
		}
		seen[string(hash)] = true
		if again, ok := hashSecret(strings.ToUpper(secret)); !ok || !bytes.Equal(again, hash) {
			t.Errorf("in capitals it is another one: %v", ok)
		}
		if _, ok := hashSecret(secret[:9] + "\n" + secret[9:]); ok {
			t.Error("it may be broken in lines")
		}
		for i := range secret {
			if _, ok := hashSecret(secret[:i]); ok {
				t.Errorf("its first %d letters are one", i)
			}
			changed := []byte(secret)
			changed[i] = 'a' + (changed[i]-'a'+1)%26&15
			if other, ok := hashSecret(string(changed)); ok && string(changed) != secret && !bytes.Equal(other, hash) {
				t.Errorf("with letter %d changed it is another one", i)
			}
		}
	}
}

func FuzzHashSecret(f *testing.F) {
	secret, _ := newSecret()
	f.Add(secret)
	f.Add("")
	f.Add(strings.Repeat("a", 58))
	f.Add(strings.Repeat("a\n", 29))
	f.Fuzz(func(t *testing.T, text string) {
		hash, ok := hashSecret(text)
		if ok != (len(hash) == 32) {
			t.Fatalf("%q: %x, %v", text, hash, ok)
		}
		if ok && regexp.MustCompile(`[^A-Za-z2-7]`).MatchString(text) {
			t.Errorf("%q is a secret", text)
		}
	})
}
