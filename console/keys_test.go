package console

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

func openKeys(t testing.TB, path string) *Keys {
	t.Helper()
	k, err := OpenKeys(path)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// failsWith fails where err does not say all the words.
func failsWith(t testing.TB, err error, words ...string) {
	t.Helper()
	for _, word := range words {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("the error is %v; want it to say %q", err, word)
		}
	}
}

func TestKeysAreMadeOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.key")
	sealed := openKeys(t, path).Seal([]byte("hush"), "a thing")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key file has mode %v, %v", info.Mode(), err)
	}
	if plain, err := openKeys(t, path).Open(sealed, "a thing"); err != nil || string(plain) != "hush" {
		t.Errorf("the next start opens %q, %v", plain, err)
	}
	if entries, err := os.ReadDir(filepath.Dir(path)); err != nil || len(entries) != 1 {
		t.Errorf("beside the key file there are %v, %v", entries, err)
	}
}

func TestKeysOfTwoWhoStartAtOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "console.key")
	derived := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range derived {
		wg.Go(func() {
			k, err := OpenKeys(path)
			if err != nil {
				t.Error(err)
				return
			}
			derived[i] = k.Derive("x")
		})
	}
	wg.Wait()
	for _, d := range derived {
		if !bytes.Equal(d, derived[0]) {
			t.Fatal("two that made the key file at once have different keys")
		}
	}
	if err := makeKey(path); err != nil || !bytes.Equal(openKeys(t, path).Derive("x"), derived[0]) {
		t.Errorf("who comes later replaces the key file: %v", err)
	}
}

func TestOpenKeysRefuses(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		says []string
	}{
		"readable by others": {"", 0o640, []string{"others may read", "chmod 600"}},
		"writable by others": {"", 0o602, []string{"others may read or write"}},
		"empty":              {"\n", 0o600, []string{"no key file", "put back"}},
		"text":               {"hello, world\n", 0o600, []string{"no key file"}},
		"short":              {"AQID\n", 0o600, []string{"no key file"}},
		"newer":              {"AgID\n", 0o600, []string{"newer popup"}},
		"huge":               {strings.Repeat("A", 5000), 0o600, []string{"no key file"}}, // and cut
	} {
		path := filepath.Join(t.TempDir(), "console.key")
		if c.text == "" {
			openKeys(t, path)
		} else if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, c.mode); err != nil {
			t.Fatal(err)
		}
		before, _ := os.ReadFile(path)
		_, err := OpenKeys(path)
		failsWith(t, err, append(c.says, path)...)
		if strings.TrimSpace(string(before)) != "" && strings.Contains(err.Error(), strings.TrimSpace(string(before))) {
			t.Errorf("%s: the error shows what is in the file: %v", name, err)
		}
		if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
			t.Errorf("%s: the file was changed", name)
		}
	}
	_, err := OpenKeys(filepath.Join(t.TempDir(), "nowhere", "console.key"))
	failsWith(t, err, "make the key file", "nowhere")
}

func TestSeal(t *testing.T) {
	dir := t.TempDir()
	k, other := openKeys(t, filepath.Join(dir, "a")), openKeys(t, filepath.Join(dir, "b"))
	for _, plain := range []string{"", "hush", strings.Repeat("long ", 10_000)} {
		sealed := k.Seal([]byte(plain), "settings of 1")
		if bytes.Contains(sealed, []byte("hush")) || bytes.Contains(sealed, []byte("long ")) {
			t.Error("what was sealed can be read")
		}
		if got, err := k.Open(sealed, "settings of 1"); err != nil || string(got) != plain {
			t.Errorf("it opens as %d bytes, %v", len(got), err)
		}
		if bytes.Equal(sealed, k.Seal([]byte(plain), "settings of 1")) {
			t.Error("sealed twice it is the same")
		}
		_, err := k.Open(sealed, "settings of 2")
		failsWith(t, err, "open the settings of 2", "not the key file")
		_, err = other.Open(sealed, "settings of 1")
		failsWith(t, err, filepath.Join(dir, "b"), "not the key file", "enter it anew")
		for i := range min(len(sealed), 60) {
			changed := bytes.Clone(sealed)
			changed[i] ^= 1
			if _, err := k.Open(changed, "settings of 1"); err == nil {
				t.Errorf("it opens with byte %d changed", i)
			}
			if _, err := k.Open(sealed[:i], "settings of 1"); err == nil {
				t.Errorf("its first %d bytes open", i)
			}
		}
	}
}

func TestDerive(t *testing.T) {
	dir := t.TempDir()
	k, other := openKeys(t, filepath.Join(dir, "a")), openKeys(t, filepath.Join(dir, "b"))
	if !bytes.Equal(k.Derive("token", "1"), openKeys(t, filepath.Join(dir, "a")).Derive("token", "1")) {
		t.Error("it is another one after a restart")
	}
	seen := map[string]string{}
	for name, d := range map[string][]byte{
		"token 1": k.Derive("token", "1"), "token 2": k.Derive("token", "2"), "token": k.Derive("token"), "empty part": k.Derive("token", ""),
		"token1": k.Derive("token1"), "tok en1": k.Derive("tok", "en1"), "other key": other.Derive("token", "1"),
	} {
		if len(d) != 32 || seen[string(d)] != "" {
			t.Errorf("%s: %x, the same as %q", name, d, seen[string(d)])
		}
		seen[string(d)] = name
	}
}
