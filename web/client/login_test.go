package client

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFindLogin: a token that is kept goes to its own console, whatever else is said.
func TestFindLogin(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", t.TempDir())
	file, err := LoginFile()
	if err != nil {
		t.Fatal(err)
	}
	kept := Login{URL: "https://a.example", Token: "kept", Pin: "pin"}
	for name, test := range map[string]struct {
		env  map[string]string
		none bool // nothing is kept
		want Login
		says string
	}{
		"nothing":                    {nil, true, Login{}, ErrNoLogin.Error()},
		"kept":                       {nil, false, kept, ""},
		"all of the environment":     {map[string]string{EnvConsole: "https://b.example", EnvToken: "t", EnvPin: "p"}, true, Login{"https://b.example", "t", "p"}, ""},
		"another console, its token": {map[string]string{EnvConsole: "https://b.example", EnvToken: "t"}, false, Login{"https://b.example", "t", ""}, ""},
		"another console":            {map[string]string{EnvConsole: "https://b.example"}, false, Login{}, "another console"},
		"the same console":           {map[string]string{EnvConsole: "https://a.example/"}, false, kept, ""},
		"a console that is none":     {map[string]string{EnvConsole: "b.example"}, false, Login{}, EnvConsole + ": "},
		"another token":              {map[string]string{EnvToken: "t"}, false, Login{kept.URL, "t", "pin"}, ""},
		"another pin":                {map[string]string{EnvPin: "p"}, false, Login{kept.URL, "kept", "p"}, ""},
		"a token for nobody":         {map[string]string{EnvToken: "t"}, true, Login{}, ErrNoLogin.Error()},
	} {
		if err := Forget(file); err != nil {
			t.Fatal(err)
		}
		if !test.none {
			if err := kept.Keep(file); err != nil {
				t.Fatal(err)
			}
		}
		got, err := FindLogin(func(name string) string { return test.env[name] })
		if got != test.want || (err != nil) != (test.says != "") || err != nil && !strings.Contains(err.Error(), test.says) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
		if err != nil && strings.Contains(err.Error(), "kept") {
			t.Errorf("%s: the error tells the token: %v", name, err)
		}
	}
}

// TestNoHomeIsNeeded where the environment says who asks.
func TestNoHomeIsNeeded(t *testing.T) {
	t.Setenv("XDG_CONFIG_HOME", "")
	t.Setenv("HOME", "")
	env := map[string]string{EnvConsole: "https://a.example", EnvToken: "t"}
	getenv := func(name string) string { return env[name] }
	if got, err := FindLogin(getenv); err != nil || got.Token != "t" {
		t.Errorf("%+v, %v", got, err)
	}
	clear(env)
	if _, err := FindLogin(getenv); err == nil || !strings.Contains(err.Error(), "find your settings") {
		t.Error(err)
	}
}

// TestLoginIsKeptForOneself, and a file that is damaged says what to do.
func TestLoginIsKeptForOneself(t *testing.T) {
	file := filepath.Join(t.TempDir(), "popup", "login.json")
	if err := (Login{URL: "https://a.example", Token: "t"}).Keep(file); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{file: 0o600, filepath.Dir(file): 0o700} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	if err := os.WriteFile(file, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadLogin(file); err == nil || errors.Is(err, ErrNoLogin) || !strings.Contains(err.Error(), "popup login URL") {
		t.Error(err)
	}
	if err := (Login{}).Keep(filepath.Join(file, "below/a/file")); err == nil {
		t.Error("kept below a file")
	}
}
