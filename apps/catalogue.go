package apps

import (
	"embed"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed all:catalogue
var catalogue embed.FS

// shipped reads the catalogue once: it cannot change while the program runs.
var shipped = sync.OnceValue(func() []AppID {
	// The names are found by a pattern that is right and an FS in memory: Glob cannot fail.
	files, _ := fs.Glob(catalogue, "catalogue/*/"+FileName)
	ids := make([]AppID, len(files))
	for i, file := range files {
		ids[i] = AppID(path.Base(path.Dir(file)))
	}
	slices.Sort(ids)
	return ids
})

// Shipped lists the apps that come with the binary, sorted.
func Shipped() []AppID { return slices.Clone(shipped()) }

// ShippedCatalogue is the folder of all of them: one folder an app, named by its id.
func ShippedCatalogue() fs.FS {
	folder, err := fs.Sub(catalogue, "catalogue")
	if err != nil {
		panic(err) // the name is a right one
	}
	return folder
}

// ShippedFS is the folder of a shipped app. The error for an id that does not
// ship is Problems, and names the nearest one or lists all.
func ShippedFS(id AppID) (fs.FS, error) {
	if !slices.Contains(shipped(), id) {
		names := make([]string, 0, len(shipped()))
		for _, known := range shipped() {
			names = append(names, string(known))
		}
		hint := "these do: " + strings.Join(names, " ")
		if near := Nearest(string(id), names); near != "" {
			hint = "did you mean " + quote(near) + "? " + hint
		}
		return nil, Problems{{Message: "no app " + quote(string(id)) + " ships with popup", Hint: hint}}
	}
	return fs.Sub(catalogue, "catalogue/"+string(id))
}

// LoadShipped reads the manifest of a shipped app; its errors are those of ShippedFS.
func LoadShipped(id AppID) (Loaded, error) {
	folder, err := ShippedFS(id)
	if err != nil {
		return Loaded{}, err
	}
	file := "catalogue/" + string(id) + "/" + FileName
	text, err := fs.ReadFile(folder, FileName)
	if err != nil {
		return Loaded{}, fmt.Errorf("read %s: %w", file, err)
	}
	m, err := Parse(file, text)
	if err != nil {
		return Loaded{}, err
	}
	return Loaded{Manifest: m, File: file, Shipped: id}, nil
}

// ShippedFor is the shipped app whose service.repository is repository, so that
// a repository without an app.yaml launches with the catalogue's manifest. How
// the address is written (scheme, user, .git, the host's case) does not matter.
func ShippedFor(repository string) (AppID, bool) {
	for _, id := range shipped() {
		app, err := LoadShipped(id)
		if err == nil && app.Service.Repository != "" && SameRepository(app.Service.Repository, repository) {
			return id, true
		}
	}
	return "", false
}
