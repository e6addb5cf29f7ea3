package console

import (
	"bytes"
	"errors"
	"path/filepath"
	"testing"
)

// TestRestoreWithItsKeys: a backup opens its secrets with the key file that lay beside it,
// and with no other; whoever has only the backup may still come in.
func TestRestoreWithItsKeys(t *testing.T) {
	dir := t.TempDir()
	key := filepath.Join(dir, "console.key")
	c, s := claimed(t, func(o *Options) { o.Keys = openKeys(t, key) })
	check(t, c.CheckKeys(t.Context()))
	check(t, c.CheckKeys(t.Context()))
	d := Deployment{ID: "d", Event: "e", Secrets: c.opts.Keys.Seal([]byte("hush, it is a secret"), "secrets of deployment d")}
	c.write(t, func(tx Tx) error { return put(tx, d) })
	var backup bytes.Buffer
	check(t, c.Backup(t.Context(), anOwner, &backup))
	if bytes.Contains(backup.Bytes(), []byte("hush")) {
		t.Error("a secret can be read in the backup")
	}
	restored := func(key string) *testConsole {
		to := t.TempDir()
		check(t, RestoreStore(t.Context(), to, bytes.NewReader(backup.Bytes())))
		store, err := OpenStore(t.Context(), to)
		check(t, err)
		t.Cleanup(func() { check(t, store.Close()) })
		return newConsole(t, func(o *Options) { o.Store, o.Keys = store, openKeys(t, key) })
	}

	same := restored(key)
	if err := same.CheckKeys(t.Context()); err != nil {
		t.Errorf("with its key file: %v", err)
	}
	if plain, err := same.opts.Keys.Open(stored[Deployment](t, same, "d").Secrets, "secrets of deployment d"); err != nil || string(plain) != "hush, it is a secret" {
		t.Errorf("with its key file it opens %q, %v", plain, err)
	}

	other := restored(filepath.Join(dir, "another.key"))
	for range 2 { // asking does not change it
		err := other.CheckKeys(t.Context())
		if failsWith(t, err, "not the key file", "put back"); !errors.Is(err, ErrOtherKeys) {
			t.Error(err)
		}
	}
	_, err := other.opts.Keys.Open(stored[Deployment](t, other, "d").Secrets, "secrets of deployment d")
	failsWith(t, err, "open the secrets of deployment d", "another.key is not the key file", "put back")
	for name, c := range map[string]*testConsole{"its": same, "another": other} {
		if a := c.in(t, s); a.Role != RoleOwner {
			t.Errorf("with %s key file, who was in is %+v", name, a)
		}
		c.signIn(t, "olga", aPassword)
	}
}
