package apps

import (
	"io/fs"
	"slices"
	"strings"
	"testing"
)

func TestEveryShippedManifestIsRight(t *testing.T) {
	for _, id := range []AppID{"guestbook", "notice", "open-qa", "qa-board"} {
		if !slices.Contains(Shipped(), id) {
			t.Errorf("%s does not ship", id)
		}
	}
	for _, id := range Shipped() {
		app, err := LoadShipped(id)
		if err != nil {
			t.Error(err)
			continue
		}
		if app.ID != id || app.Shipped != id || app.Dir != "" || app.File != "catalogue/"+string(id)+"/app.yaml" {
			t.Errorf("%s: id %s, shipped %s, dir %q, file %s", id, app.ID, app.Shipped, app.Dir, app.File)
		}
		files, err := ShippedFS(id)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range shownFiles(app.Manifest) {
			if _, err := fs.Stat(files, name); err != nil {
				t.Errorf("%s names what does not ship: %v", id, err)
			}
		}
	}
}

// shownFiles are the files and folders beside the manifest that it names.
func shownFiles(m Manifest) []string {
	names := append([]string{}, m.Screenshots...)
	if m.Icon != "" {
		names = append(names, m.Icon)
	}
	if m.Service.Repository == "" && m.Service.RootDir != "" {
		names = append(names, m.Service.RootDir)
	}
	if m.Data != nil && m.Data.Source == SourceFolder {
		names = append(names, m.Data.URL)
	}
	return names
}

func TestAnAppThatDoesNotShip(t *testing.T) {
	for id, want := range map[AppID]string{
		"qabord":      `no app "qabord" ships with popup — did you mean "qa-board"? these do: guestbook `,
		"zzzzzzzz":    `no app "zzzzzzzz" ships with popup — these do: guestbook `,
		"../notice":   `no app "../notice" ships with popup`,
		"README.md":   `no app "README.md" ships with popup`,
		"":            `no app "" ships with popup`,
		"notice/site": `no app "notice/site" ships with popup`,
	} {
		if _, err := LoadShipped(id); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: %v", id, err)
		}
	}
}
