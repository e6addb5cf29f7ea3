package launcher

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popup/apps"
	"popup/internal/wire"
)

func TestOwnUserData(t *testing.T) {
	const sum = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	const here, there = "https://example.org/board", "https://a.example/popup"
	for _, c := range []struct {
		name    string
		source  wire.Source
		data    *wire.Source
		binary  string
		want    []string // parts of the text; none: there is none
		missing string
	}{
		{"plain", wire.Source{URL: here}, nil, there, []string{here, there}, ""},
		{"over ssh", wire.Source{URL: "ssh://git@example.org/board"}, &wire.Source{URL: "git@example.org:days"}, there, []string{"ssh://git@", "git@example.org:days"}, ""},
		{"shipped", wire.Source{Kind: apps.SourceFolder, URL: "catalogue:notice"}, nil, there, []string{"catalogue:notice"}, ""},
		{"a folder", wire.Source{URL: "/srv/board"}, nil, there, nil, "from a folder of this machine"},
		{"a file address", wire.Source{URL: here}, &wire.Source{URL: "file:///srv/days"}, there, nil, "from a folder of this machine"},
		{"a user", wire.Source{URL: "https://hush@example.org/board"}, nil, there, nil, "an address that is not for everybody"},
		{"a signed archive", wire.Source{URL: here}, &wire.Source{Kind: "https", URL: "https://example.org/x.zip?sig=hush"}, there, nil, "an address that is not for everybody"},
		{"a relay's user", wire.Source{URL: here, Relay: "https://me:hush@relay.example/"}, nil, there, nil, "an address that is not for everybody"},
		{"popup for one", wire.Source{URL: here}, nil, there + "?token=hush", nil, "not installed here from an address that everybody may use"},
		{"popup for a user", wire.Source{URL: here}, nil, "https://me:hush@a.example/popup", nil, "not installed here"},
		{"one for all", wire.Source{URL: here}, nil, there + "?token=hush https://b.example/popup", []string{"https://b.example/popup"}, ""},
		{"not by user-data", wire.Source{URL: here}, nil, "", nil, "not installed here"},
	} {
		t.Run(c.name, func(t *testing.T) {
			plan := wire.Plan{
				Manifest: apps.Manifest{ManifestVersion: 1, ID: "board", Name: "Board"}, Service: c.source, Data: c.data,
				Settings: map[string]string{"KEY": "hush"}, End: &wire.End{At: "2026-05-31"},
			}
			plan.Service.CredentialsFile = "/etc/hush"
			a := &Appliance{opts: Options{Plan: plan}, at: layout{root: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
			if c.binary != "" {
				if err := os.MkdirAll(filepath.Dir(a.at.binary()), 0o700); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(a.at.binary(), []byte(sum+" "+c.binary+"\n"), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			text, missing := a.ownUserData()
			if (text == "") != (len(c.want) == 0) || (missing == "") != (c.missing == "") || !strings.Contains(missing, c.missing) {
				t.Errorf("%q, missing: %q; want %q", text, missing, c.missing)
			}
			for _, want := range c.want {
				if !strings.Contains(text, want) {
					t.Errorf("%s lacks %s", text, want)
				}
			}
			if strings.Contains(text+missing, "hush") {
				t.Errorf("it shows a secret: %s%s", text, missing)
			}
		})
	}
}

func TestShownAddress(t *testing.T) {
	for address, want := range map[string]string{
		"https://example.org/board":          "https://example.org/board",
		"https://example.org/x.zip?sig=hush": "https://example.org/x.zip",
		"git@example.org:what?":              "git@example.org:what?",
		"catalogue:notice":                   "catalogue:notice",
		"/srv/board":                         "a folder of this machine",
		"file:///srv/board":                  "a folder of this machine",
	} {
		if got := shownAddress(&wire.Source{URL: address}); got != want {
			t.Errorf("%s is shown as %s; want %s", address, got, want)
		}
	}
}
