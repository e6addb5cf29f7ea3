package apps

import (
	"strings"
	"testing"
)

func TestCheckRepositoryAccepts(t *testing.T) {
	for _, address := range []string{
		"https://example.org/owner/name", "https://example.org:8443/owner/name.git", "http://127.0.0.1:3000/x", "http://[::1]:80/x",
		"ssh://git@example.org/owner/name", "ssh://example.org:22/~/x", "file:///srv/git/x.git",
		"git@example.org:owner/name.git", "git@[2001:db8::1]:x", "/srv/git/x", "./x", "../x", ".",
	} {
		if err := CheckRepository(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

func TestCheckRepositoryRefuses(t *testing.T) {
	const secret = "hunter2"
	for address, want := range map[string]string{
		"":                                      "is not the address of a repository",
		"-u./x":                                 "begins with -",
		"--upload-pack=x":                       "begins with -",
		"https://example.org/a\nb":              "holds a line break",
		"https://example.org/a\x1b[2J":          "holds a line break or a control character",
		"https://example.org/a b":               "holds a space",
		"https://" + strings.Repeat("a", 2048):  "has more than 2048 bytes",
		"https://bob:hunter2@example.org/x":     "carries a password",
		"ssh://bob:hunter2@example.org/x":       "carries a password",
		"https://hunter2@example.org/x":         "carries a user name or a token",
		"https://bob:hun/hunter2@example.org/x": "is not a URL",
		"https://bob:%zzhunter2@example.org/x":  "is not a URL",
		"bob:hunter2@example.org/x":             "may hold a password",
		"bob:hunter2@example.org:x":             "may hold a password",
		"https://example.org/x?token=hunter2":   "has a ? or #",
		"https://example.org/x#main":            "a branch has its own field",
		"ext::sh -c x":                          "holds a space",
		"ext::sh":                               "is not the address",
		"git@example.org::x":                    "may hold a password",
		"git@-oProxyCommand=x:y":                "may hold a password",
		"git@example.org:-x":                    "may hold a password",
		"ssh://-oProxyCommand=x/y":              "no server has",
		"ssh://-l@example.org/y":                "no server has",
		"git://example.org/x":                   `the scheme "git" is not one that is fetched; use one of https http ssh file`, // nothing proves who answers
		"ftp://example.org/x":                   `the scheme "ftp" is not one that is fetched; use one of https http ssh file`,
		"javascript://example.org/x":            "is not one that is fetched",
		"https:///x":                            "names no host",
		"file://host/x":                         "names a host",
		"example.org/owner/name":                `has no scheme; write https://example.org/owner/name`,
		"owner/name":                            `"owner/name" is not the address of a repository`,
		"catalogue:notice":                      "is not the address of a repository",
		`C:\Users\x`:                            "a backslash",
		"https://example.org\u2028/x":           "holds a line break",
	} {
		err := CheckRepository(address)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q:\n got %v\nwant %s", address, err, want)
		}
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Errorf("%q: the secret is printed: %v", address, err)
		}
	}
}

// TestNoFieldPrintsAPassword puts an address with a password where an author may, by mistake, put one.
func TestNoFieldPrintsAPassword(t *testing.T) {
	for _, address := range []string{"https://bob:hunter2@example.org/x", "bob:hunter2@example.org", "https://bob:hun/hunter2@example.org"} {
		for _, line := range []string{
			"id: ADDRESS", "website: ADDRESS", "icon: ADDRESS", "license: {ADDRESS: 1}", "keywords: ADDRESS", "service: ADDRESS",
			"service: {branch: ADDRESS, root_dir: ADDRESS, repository: ADDRESS}", "service: {update: {schedule: ADDRESS}}",
			"data: {source: ADDRESS}", "data: {url: ADDRESS, source: s3}", "data: {url: ADDRESS, source: folder, mount: ADDRESS}",
			"data: {extract: ADDRESS, in_subdir: ADDRESS}", "packages: {apt: [ADDRESS]}", "health_check: {http_path: ADDRESS, timeout: ADDRESS}",
			"resources: {memory: ADDRESS, cpus: ADDRESS}", "env: {ADDRESS: {}}", "env: {A: {type: ADDRESS}}", "env: {A: {type: number, value: ADDRESS}}",
			"metadata: ADDRESS", "ADDRESS: x", "data: {limits: {shrink: ADDRESS}}",
		} {
			text := strings.ReplaceAll(line, "ADDRESS", `"`+address+`"`) + "\n"
			if _, err := Parse("app.yaml", []byte(text)); err == nil || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", text, err)
			}
		}
	}
}

func TestSameRepository(t *testing.T) {
	for _, group := range [][]string{
		{"https://GitHub.com/eucalyptus/open-qa", "https://github.com/eucalyptus/open-qa.git", "https://github.com/eucalyptus/open-qa/",
			"http://github.com/eucalyptus/open-qa.git/", "git@github.com:eucalyptus/open-qa.git", "ssh://git@github.com/eucalyptus/open-qa"},
		{"https://github.com/eucalyptus/open-qa-frontend-data"},
		{"https://example.org/eucalyptus/open-qa"},
		{"/srv/eucalyptus/open-qa", "/srv/eucalyptus/open-qa.git"},
	} {
		for _, address := range group {
			id, ok := ShippedFor(address)
			if want := sameRepository(group[0]) == "github.com/eucalyptus/open-qa"; ok != want || want && id != "open-qa" {
				t.Errorf("ShippedFor(%s) = %s, %v", address, id, ok)
			}
			if got, want := sameRepository(address), sameRepository(group[0]); got != want {
				t.Errorf("%s is %s, and %s is %s", address, got, group[0], want)
			}
		}
	}
}
