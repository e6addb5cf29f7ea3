package apps

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
)

// Draft is the text of an app.yaml for a folder that has none, with comments for
// the person who goes on from there, and a sentence that says what was seen. For
// the checkout of a repository, its address (with or without #REF) is given and
// becomes the service's; else it is empty. The error is fs.ErrExist when there is an app.yaml, Problems
// when what was recognised is at fault.
func Draft(dir, repository string) (text []byte, seen string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return nil, "", fmt.Errorf("draft %s: %w", FileName, err)
	}
	name := filepath.Base(dir)
	repository, branch, _ := strings.Cut(repository, "#")
	if repository != "" {
		name = RepositoryName(repository)
	}
	draft, err := inFolder(dir, func(folder fs.FS) (Loaded, error) {
		if _, err := fs.Stat(folder, FileName); err == nil {
			return Loaded{}, fmt.Errorf("draft %s: %w", FileName, fs.ErrExist)
		}
		return detectOrGuess(folder, name)
	})
	if err != nil {
		return nil, "", err
	}
	draft.Service.Repository, draft.Service.Branch = repository, branch
	text, err = draftText(draft.Manifest)
	return text, draft.Detected, err
}

// detectOrGuess is detect, and plain files where that sees nothing.
func detectOrGuess(folder fs.FS, name string) (Loaded, error) {
	var m Manifest
	seen, err := detectServe(folder, &m)
	if err != nil || seen != "" {
		return detect(folder, name)
	}
	m = Manifest{ManifestVersion: ManifestVersion, ID: idFrom(name), Name: nameFrom(name), Serve: Serve{Type: ServeStatic}}
	return Loaded{Manifest: m, Detected: "nothing was recognised; serve is a guess, say there how the app is served"}, nil
}

// draftComments stand above the keys they are named by.
var draftComments = map[string]string{
	"manifest_version": "What this app is, for popup: popup check finds mistakes, popup try runs it here.",
	"id":               "Lower-case letters, digits and hyphens; part of addresses.",
	"service":          "Where the code is. Left out, it is the repository this file is in, so that a fork launches the fork.",
	"packages":         "What the operating system has to have, by package manager: apt, dnf, apk, zypper.",
	"serve":            "static (files), php, or command (a program that listens on 127.0.0.1:$PORT).",
	"health_check":     "A started app is shown once this page answers. Best with contains: text that only a working page has.",
	"env":              "Settings: an app sees them as environment variables.",
	"scripts":          "postdeploy runs once, after the first healthy start.",
}

// draftRest is what may be said besides. Without its first two columns, each part is right as it stands.
const draftRest = `
# More that may be said:
#
# # Content that is kept fresh from a place of its own, and where the service finds it.
# data:
#   repository: https://example.org/owner/data.git
#   mount: data
#   sync:
#     schedule: "@every 5m"
#
# # What the app writes, in $STATE_DIR: kept, backed up, archived.
# state:
#   backup:
#     schedule: "@daily"
#
# # How long an instance lives.
# lifetime:
#   default_ttl: 7d
#   max_ttl: 90d
`

func draftText(m Manifest) ([]byte, error) {
	if m.HealthCheck == (HealthCheck{}) {
		m.HealthCheck.HTTPPath = "/"
	}
	plain, err := marshal(m)
	if err != nil {
		return nil, err
	}
	if plain[0] == '{' {
		return plain, nil // JSON has no place for comments
	}
	var b strings.Builder
	for line := range strings.Lines(string(plain)) {
		key, _, _ := strings.Cut(line, ":")
		if comment, ok := draftComments[key]; ok {
			if b.Len() > 0 {
				b.WriteString("\n")
			}
			b.WriteString("# " + comment + "\n")
		}
		b.WriteString(line)
	}
	b.WriteString(draftRest)
	text := []byte(b.String())
	if _, err := Parse(FileName, text); err != nil {
		return nil, err
	}
	return text, nil
}
