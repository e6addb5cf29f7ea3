package archive_test

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"popup/internal/archive"
)

// sealed is the sample, and the key that opens it.
func sealed(t testing.TB) (packed []byte, identity string) {
	t.Helper()
	identity, recipient, err := archive.NewIdentity()
	check(t, err)
	var out bytes.Buffer
	w, err := archive.Seal(&out, recipient)
	check(t, err)
	_, err = w.Write(sample(t))
	check(t, err)
	check(t, w.Close())
	return out.Bytes(), identity
}

// TestOpenGoesByTheName: what is called encrypted is never taken for what is not.
func TestOpenGoesByTheName(t *testing.T) {
	packed, identity := sealed(t)
	for name, content := range map[string][]byte{"a.tar.zst.age": packed, "a.tar.zst": sample(t)} {
		r, err := archive.Open(name, bytes.NewReader(content), identity)
		check(t, err)
		m, err := archive.Verify(t.Context(), r, archive.Limits{})
		if err != nil || m.App != "wall" {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if _, err := archive.Open("a.tar.zst.age", bytes.NewReader(sample(t)), identity); err == nil {
		t.Error("what is not encrypted is opened as if it were")
	}
}

func TestCheckIdentity(t *testing.T) {
	_, identity := sealed(t)
	check(t, archive.CheckIdentity("# a comment\n"+identity+"\n"))
	for _, bad := range []string{"", "hush-hush", identity[:20], "AGE-PLUGIN-YUBIKEY-1Q"} {
		if err := archive.CheckIdentity(bad); err == nil || bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func FuzzOpen(f *testing.F) {
	packed, identity := sealed(f)
	f.Add(packed)
	f.Add(packed[:len(packed)/2])
	f.Add([]byte("age-encryption.org/v1\n-> X25519 x\ny\n--- z\n"))
	f.Fuzz(func(t *testing.T, packed []byte) {
		r, err := archive.Open("a.age", bytes.NewReader(packed), identity)
		if err == nil {
			_, err = io.Copy(io.Discard, r)
		}
		if err != nil && len(err.Error()) > 4096 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
	})
}
