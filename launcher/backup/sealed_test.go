package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/google/go-cmp/cmp"

	"popup/internal/archive"
	"popup/internal/testutil/vaulttest"
)

func newIdentity(t *testing.T) *age.X25519Identity {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	check(t, err)
	return identity
}

func sealedOptions(t *testing.T, identity *age.X25519Identity) SaveOptions {
	return SaveOptions{
		TakeOptions: TakeOptions{App: "wall", Instance: "i-1", At: when, Secrets: archive.Secrets{"KEY": "hush-hush"}},
		Recipient:   identity.Recipient().String(), Spool: t.TempDir(),
	}
}

// contents is what a vault has under a name.
func contents(t *testing.T, vault archive.Vault, name string) []byte {
	t.Helper()
	r, err := vault.Get(t.Context(), name)
	check(t, err)
	defer closing(t, r)
	packed, err := io.ReadAll(r)
	check(t, err)
	return packed
}

func TestSaveEncrypted(t *testing.T) {
	state, identity := sampleState(t), newIdentity(t)
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	opts := sealedOptions(t, identity)
	saved, err := Save(t.Context(), vault, "a.tar.zst.age", state, opts)
	check(t, err)
	if left, err := os.ReadDir(opts.Spool); err != nil || len(left) > 0 {
		t.Errorf("beside it there are %v, %v", left, err)
	}
	packed := contents(t, vault, "a.tar.zst.age")
	plain, err := archive.Open("a.tar.zst.age", bytes.NewReader(packed), "# created: today\n"+identity.String()+"\n")
	check(t, err)
	target := openRoot(t, t.TempDir())
	restored, err := Restore(t.Context(), plain, target, archive.Limits{})
	check(t, err)
	if diff := cmp.Diff(saved, restored); diff != "" {
		t.Error(diff)
	}
	if restored.Secrets["KEY"] != "hush-hush" {
		t.Errorf("it has %d secrets", len(restored.Secrets))
	}
	if text := fmt.Sprintf("%v %+v %#v", restored, restored, restored.Secrets); strings.Contains(text, "hush") {
		t.Errorf("printed, it says %s", text)
	}
	if diff := cmp.Diff(describe(t, state), describe(t, target)); diff != "" {
		t.Error(diff)
	}
	if _, err := archive.Verify(t.Context(), bytes.NewReader(packed), archive.Limits{}); !errors.Is(err, archive.ErrCorrupt) {
		t.Errorf("everybody can read it: %v", err)
	}
}

func TestSecretsOnlyGoEncrypted(t *testing.T) {
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	opts := sealedOptions(t, newIdentity(t))
	opts.Recipient = ""
	saved, err := Save(t.Context(), vault, "a.tar.zst", sampleState(t), opts)
	check(t, err)
	if len(saved.Secrets) > 0 || len(saved.Notes) != 1 || !strings.Contains(saved.Notes[0], "it is not encrypted") {
		t.Errorf("it has %d secrets, and notes %v", len(saved.Secrets), saved.Notes)
	}
	if bytes.Contains(unpack(t, contents(t, vault, "a.tar.zst")), []byte("hush")) {
		t.Error("everybody can read the secrets")
	}
}

// TestSaveEncryptedIsReadBack though nobody here can open it.
func TestSaveEncryptedIsReadBack(t *testing.T) {
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	bad := badVault{vault, func(ctx context.Context, name string, r io.Reader) error {
		packed, err := io.ReadAll(r)
		check(t, err)
		packed[len(packed)-1] ^= 1
		return vault.Put(ctx, name, bytes.NewReader(packed))
	}}
	_, err = Save(t.Context(), bad, "a", sampleState(t), sealedOptions(t, newIdentity(t)))
	if !errors.Is(err, archive.ErrCorrupt) || err.Error() != `read backup "a" back: the backup is not whole: it is not what was sent` {
		t.Errorf("got %v", err)
	}
	vaulttest.Contains(t, vault)
}

// TestOpenSaysWhatIsWrong of an archive that is not opened, damaged, or cut short anywhere.
func TestOpenSaysWhatIsWrong(t *testing.T) {
	identity := newIdentity(t)
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	const name = "a.tar.zst.age"
	_, err = Save(t.Context(), vault, name, sampleState(t), sealedOptions(t, identity))
	check(t, err)
	packed := contents(t, vault, name)
	open := func(packed []byte, identity string) error {
		r, err := archive.Open(name, bytes.NewReader(packed), identity)
		if err == nil {
			_, err = archive.Verify(t.Context(), r, archive.Limits{})
		}
		return err
	}
	check(t, open(packed, identity.String()))
	for key, want := range map[string]string{
		"":                        "the backup is encrypted; give the key that opens it",
		"AGE-SECRET-KEY-1QQQQ":    "the key that is to open the archive is none of age's; it is a line AGE-SECRET-KEY-1…",
		newIdentity(t).String():   "the backup is encrypted for another key than the one given",
		"hush-hush, not a secret": "the key that is to open the archive is none of age's",
	} {
		if err := open(packed, key); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") || errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("%q: %v", key, err)
		}
	}
	for n := 0; n < len(packed); n += 7 {
		if err := open(packed[:n], identity.String()); !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("cut to %d of %d bytes: %v", n, len(packed), err)
		}
	}
	// What precedes the payload says for whom it is: damage there may make it another's.
	body := bytes.Index(packed, []byte("\n--- "))
	for n := body + 60; n < len(packed); n += 7 {
		damaged := bytes.Clone(packed)
		damaged[n] ^= 1
		if err := open(damaged, identity.String()); !errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("byte %d of %d flipped: %v", n, len(packed), err)
		}
	}
	gone := errors.New("the line broke")
	for _, n := range []int64{10, int64(len(packed) - 10)} {
		r, err := archive.Open(name, io.MultiReader(io.LimitReader(bytes.NewReader(packed), n), readerFunc(func([]byte) (int, error) { return 0, gone })), identity.String())
		if err == nil {
			_, err = archive.Verify(t.Context(), r, archive.Limits{})
		}
		if !errors.Is(err, gone) || errors.Is(err, archive.ErrCorrupt) {
			t.Errorf("the line breaks after %d: %v", n, err)
		}
	}
}

func TestSaveToWhoIsNone(t *testing.T) {
	vault, err := archive.FolderVault(t.TempDir())
	check(t, err)
	for _, recipient := range []string{"age1", "me@example.org", "age1qqqq\nage1qqqq"} {
		opts := sealedOptions(t, newIdentity(t))
		opts.Recipient = recipient
		if _, err := Save(t.Context(), vault, "a", sampleState(t), opts); err == nil || !strings.Contains(err.Error(), "is none of age's; write the one line age1…") {
			t.Errorf("%q: %v", recipient, err)
		}
	}
	vaulttest.Contains(t, vault)
}
