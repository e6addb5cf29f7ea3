package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"popup/internal/atomicfile"
)

// What overrides a login that is kept. A token from there goes with its console, or with
// the one that is kept; a token that is kept never goes to another console.
const (
	EnvConsole = "POPUP_CONSOLE"
	EnvToken   = "POPUP_TOKEN"
	EnvPin     = "POPUP_PIN"
)

// A Login says which console is asked, and as whom. It is kept in a file that nobody
// else may read.
type Login struct {
	URL   string `json:"url"`           // https://HOST[:PORT]; http only on this machine
	Token string `json:"token"`         // empty: nobody signed in
	Pin   string `json:"pin,omitempty"` // of the console's own certificate; empty: public authorities vouch for it
}

// ErrNoLogin says that nobody signed in.
var ErrNoLogin = errors.New("you are signed in to no console; popup login URL does that")

// LoginFile is where a login is kept: below XDG_CONFIG_HOME, or in the home.
func LoginFile() (string, error) {
	dir, err := os.UserConfigDir()
	if err != nil {
		return "", fmt.Errorf("find your settings: %w", err)
	}
	return filepath.Join(dir, "popup", "login.json"), nil
}

// ReadLogin reads what Keep kept. The error is ErrNoLogin where there is none.
func ReadLogin(file string) (l Login, err error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return Login{}, ErrNoLogin
	}
	if err == nil {
		err = json.Unmarshal(text, &l)
	}
	if err != nil {
		return Login{}, fmt.Errorf("read your login: %w; popup login URL makes a new one", err)
	}
	return l, nil
}

// Keep writes a login to its file.
func (l Login) Keep(file string) error {
	text, err := json.Marshal(l)
	if err == nil {
		err = os.MkdirAll(filepath.Dir(file), 0o700)
	}
	if err == nil {
		err = atomicfile.Write(file, append(text, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("keep your login: %w", err)
	}
	return nil
}

// Forget removes the file of a login.
func Forget(file string) error {
	if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget your login: %w", err)
	}
	return nil
}

// FindLogin is whom to ask, by the environment and the file of one's login, which is
// not looked for where the environment says enough. The error is ErrNoLogin where
// neither does.
func FindLogin(getenv func(string) string) (Login, error) {
	url, token, pin := getenv(EnvConsole), getenv(EnvToken), getenv(EnvPin)
	if url != "" && token != "" {
		return Login{URL: url, Token: token, Pin: pin}, nil
	}
	file, err := LoginFile()
	if err != nil {
		return Login{}, err
	}
	kept, err := ReadLogin(file)
	if err != nil {
		return Login{}, err
	}
	if url != "" {
		at, err := parseURL(url)
		if err != nil {
			return Login{}, fmt.Errorf("%s: %w", EnvConsole, err)
		}
		if at != kept.URL {
			return Login{}, fmt.Errorf("%s is another console than the one that you are signed in to, %s; set %s to a token of its own, or sign in there", EnvConsole, kept.URL, EnvToken)
		}
	}
	if token != "" {
		kept.Token = token
	}
	if pin != "" {
		kept.Pin = pin
	}
	return kept, nil
}
