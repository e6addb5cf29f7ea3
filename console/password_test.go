package console

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// aSecondHash is of "password", as the reference implementation of argon2 made it.
const aSecondHash = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

func TestPasswordsAreKeptAsHashes(t *testing.T) {
	p := newPasswords()
	one, err := p.hash(t.Context(), "three four five")
	if err != nil || !strings.HasPrefix(one, "$argon2id$v=19$m=19456,t=2,p=1$") {
		t.Fatalf("%q, %v", one, err)
	}
	if two, err := p.hash(t.Context(), "three four five"); err != nil || two == one {
		t.Errorf("two of the same are kept alike: %v", err)
	}
	for password, want := range map[string]bool{"three four five": true, "three four six": false, "": false, "three four five ": false, p.none: false} {
		if good, err := p.check(t.Context(), one, password); err != nil || good != want {
			t.Errorf("%q: %v, %v", password, good, err)
		}
	}
	if good, err := p.check(t.Context(), aSecondHash, "password"); err != nil || !good {
		t.Errorf("what another program made is not known: %v, %v", good, err)
	}
	for _, hash := range []string{"", p.none} {
		if good, err := p.check(t.Context(), hash, ""); err != nil || good {
			t.Errorf("%q is nobody's password: %v, %v", hash, good, err)
		}
	}
	_, err = p.check(t.Context(), "$2y$05$abcdefghijklmnopqrstuu", "x")
	failsWith(t, err, "not kept as this popup", "set a new one")
}

// TestNobodysPasswordTakesAsLong: what is computed for a name that nobody has is what is
// computed for one that somebody has.
func TestNobodysPasswordTakesAsLong(t *testing.T) {
	p := newPasswords()
	made, err := p.hash(t.Context(), "three four five")
	if err != nil {
		t.Fatal(err)
	}
	somebody, err := parseArgon(made)
	if err != nil {
		t.Fatal(err)
	}
	nobody, err := parseArgon(p.none)
	if err != nil {
		t.Fatal(err)
	}
	if nobody.memory != somebody.memory || nobody.time != somebody.time || nobody.threads != somebody.threads || len(nobody.key) != len(somebody.key) {
		t.Errorf("%s against %s", p.none, made)
	}
	if bytes.Equal(nobody.key, make([]byte, argonKey)) {
		t.Error("the hash that nobody has is known")
	}
}

func TestFewPasswordsAreComputedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPasswords()
		for range passwordsAtOnce {
			if _, err := p.enter(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		_, err := p.hash(t.Context(), "three four five")
		var busy *BusyError
		if !errors.As(err, &busy) || busy.After <= 0 || time.Since(begun) != 5*time.Second {
			t.Errorf("after %s: %v", time.Since(begun), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := p.check(ctx, "", "x"); !errors.Is(err, context.Canceled) {
			t.Errorf("who went away is told %v", err)
		}
		waited := make(chan error)
		go func() {
			_, err := p.check(t.Context(), aSecondHash, "x")
			waited <- err
		}()
		synctest.Wait()
		<-p.slots
		if err := <-waited; err != nil {
			t.Errorf("who waited for their turn is told %v", err)
		}
	})
}

func TestPasswordFault(t *testing.T) {
	for password, want := range map[string]string{
		"three four five":              "",
		"drei vier fünf":               "",
		"パスワードを忘れないで":                  "",
		strings.Repeat("wörter ", 128): "",
		"":                             "too short",
		"ninechars":                    "too short",
		"äöüäöüäöü":                    "too short", // 18 bytes
		strings.Repeat("wxyz", 257):    "too long",
		"wxyz wxyz\xff":                "not text",
		"1234567890":                   "tried first",
		"PassWord123":                  "tried first",
		"aaaaaaaaaaaaaa":               "tried first",
		"ababababcccc":                 "tried first",
		"Olga-Organiser":               "your name",
		" olga-organiser ":             "your name",
		"olga@example.org":             "your name",
	} {
		err := passwordFault(password, "olga-organiser", "", "olga@example.org")
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%q: %v; want %q", password, err, want)
		}
		if err != nil && password != "" && strings.Contains(err.Error(), password) {
			t.Errorf("the error shows the password: %v", err)
		}
	}
	for _, used := range mostUsed {
		if used != strings.ToLower(used) || len([]rune(used)) < passwordLeast {
			t.Errorf("%q is on the list for nothing", used)
		}
	}
}

func TestParseArgon(t *testing.T) {
	if h, err := parseArgon(aSecondHash); err != nil || h.memory != 256 || h.time != 2 || h.threads != 1 || string(h.salt) != "somesalt" || len(h.key) != 32 {
		t.Errorf("%+v, %v", h, err)
	}
	change := func(old, is string) string { return strings.Replace(aSecondHash, old, is, 1) }
	for name, text := range map[string]string{
		"empty": "", "another way": change("argon2id", "argon2i"), "another version": change("v=19", "v=16"), "no version": change("$v=19", ""),
		"all memory": change("m=256", "m=4294967295"), "more memory than there is": change("m=256", "m=42949672950"), "no memory": change("m=256", "m=0"),
		"all day": change("t=2", "t=1000000"), "no time": change("t=2", "t=0"), "no threads": change("p=1", "p=0"), "threads without memory": change("p=1", "p=33"),
		"many threads": change("p=1", "p=256"), "another order": change("m=256,t=2", "t=2,m=256"), "zeros": change("m=256", "m=0256"), "sign": change("m=256", "m=+256"),
		"no salt": change("c29tZXNhbHQ", ""), "no key": aSecondHash[:strings.LastIndex(aSecondHash, "$")+1], "more": aSecondHash + "$x",
		"padded": aSecondHash + "=", "spaces": aSecondHash + "\n", "long": aSecondHash + strings.Repeat("A", 1000),
	} {
		if h, err := parseArgon(text); !errors.Is(err, errHash) {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
	}
}

func FuzzParseArgon(f *testing.F) {
	for _, seed := range []string{aSecondHash, newPasswords().none, "", "$$$$$", "$argon2id$v=19$m=1,t=1,p=255$$"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseArgon(text)
		if err != nil {
			return
		}
		if h.String() != text {
			t.Errorf("%q is read as %q", text, h.String())
		}
		if h.memory > argonMostMemory || h.time > argonMostTime || h.time == 0 || h.threads == 0 || len(h.key) == 0 {
			t.Errorf("%+v would be computed", h)
		}
	})
}
