package git_test

import (
	"strings"
	"testing"

	"popup/internal/git"
)

func TestCheckURL(t *testing.T) {
	for _, url := range []string{
		"https://example.org/a/b.git", "http://127.0.0.1:8080/x", "ssh://git@example.org:2222/a.git", "git@example.org:a/b.git",
		"example.org:a", "file:///srv/a.git", "/srv/a.git", "./a", "../a", "a/b", "https://[::1]:8080/a", "git@[::1]:a",
	} {
		if err := git.CheckURL(url); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	for url, want := range map[string]string{
		"":                                     "is empty",
		"-upload-pack=touch":                   "begins with -",
		"--upload-pack=x":                      "begins with -",
		"https://example.org/a\nb":             "line break or a control character",
		"https://example.org/a\x00":            "line break or a control character",
		"https://robot:s3cret@example.org/a":   "carries a password",
		"https://s3cret@example.org/a":         "carries a user name or a token",
		"ssh://git:s3cret@example.org/a":       "carries a password",
		"robot:s3cret@example.org:a":           "is not repeated",
		"ftp://example.org/a":                  `not fetched by "ftp"`,
		"ext::sh -c touch":                     "is not repeated",
		"git://example.org/a":                  "neither encrypts nor proves",
		"https:///a":                           "names no host",
		"https://-oProxyCommand=x/a":           "names no host",
		"ssh://-oProxyCommand=x/a":             "names no host",
		"git@example.org:-x":                   "path begins with -",
		"ssh://git@example.org/-x":             "a user or a path that no server has",
		"https://example.org/a?x=1":            "has a ? or #",
		"https://example.org/a#main":           "has a ? or #",
		"https://example.org/%zz":              "is not a URL",
		"https://robot:s3cret@example.org/%zz": "is not a URL",
		"file://host/a":                        "no file URL",
		"https://" + strings.Repeat("a", 3000): "more than 2048 bytes",
	} {
		err := git.CheckURL(url)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v; want %q in it", url, err, want)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the message holds the password: %v", url, err)
		}
	}
}

func TestRedact(t *testing.T) {
	for text, want := range map[string]string{
		"https://robot:s3cret@example.org/a":                "https://example.org/a",
		"see https://s3cret@a.org/x and http://u:p@b.org/y": "see https://a.org/x and http://b.org/y",
		"git@example.org:a":                                 "git@example.org:a",
		"robot:s3cret@example.org:a":                        "example.org:a",
		"https://example.org/a@b":                           "https://example.org/a@b",
		"/srv/a":                                            "/srv/a",
	} {
		if got := git.Redact(text); got != want {
			t.Errorf("Redact(%q) = %q; want %q", text, got, want)
		}
	}
}

func FuzzCheckURL(f *testing.F) {
	for _, seed := range []string{"https://u:s3cret@h/p", "git@h:p", "-x", "file:///a", "ssh://u@h:1/~x", "a:b@c:d"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		err := git.CheckURL(url)
		if err != nil && strings.Contains(url, ":s3cret@") && strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: the message holds the password: %v", url, err)
		}
		if err == nil && (strings.HasPrefix(url, "-") || strings.ContainsAny(url, "\n\x00")) {
			t.Errorf("%q was taken", url)
		}
	})
}
