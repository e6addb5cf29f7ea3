package apps

import (
	"embed"
	"errors"
	"io/fs"
)

//go:embed all:catalogue
var catalogue embed.FS

// Shipped lists the apps that come with the binary, sorted.
func Shipped() []AppID { return nil }

// ShippedFS is the folder of a shipped app. The error for an id that does not
// ship names the nearest one and lists all.
func ShippedFS(id AppID) (fs.FS, error) { return nil, errors.New("not yet") }

// LoadShipped reads the manifest of a shipped app; its errors are those of ShippedFS.
func LoadShipped(id AppID) (Loaded, error) { return Loaded{}, errors.New("not yet") }

// ShippedFor is the shipped app whose service.repository is repository, so that
// a repository without an app.yaml launches with the catalogue's manifest.
func ShippedFor(repository string) (AppID, bool) { return "", false }
