package catalogue

import (
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"strings"

	"popup/apps"
	"popup/internal/git"
	"popup/internal/wire"
	"popup/userdata"
)

// A home is where the manifests of a catalogue are kept.
type home struct {
	folder   string // an absolute path
	url, ref string // of a repository
}

func parseHome(source string) (home, error) {
	url, ref, _ := strings.Cut(source, "#")
	switch {
	case source == "":
		return home{}, nil
	case filepath.IsAbs(source):
		return home{folder: filepath.Clean(source)}, nil
	case !apps.IsRemote(url):
		return home{}, fmt.Errorf("%s is neither an absolute folder nor the address of a repository; write one like https://example.org/apps.git#main", git.Redact(source))
	}
	return home{url: url, ref: ref}, errors.Join(apps.CheckRepository(url), checkRef(ref))
}

// checkRef checks what follows the # of an address.
func checkRef(ref string) error {
	if ref == "" {
		return nil
	}
	return apps.CheckBranch(ref)
}

func (h home) shipped() bool { return h == home{} }

func (h home) spec() wire.Source {
	if h.folder != "" {
		return wire.Source{Kind: apps.SourceFolder, URL: h.folder}
	}
	return wire.Source{URL: h.url, Ref: h.ref}
}

// String is the source for people. It holds no password: such an address is not taken.
func (h home) String() string {
	switch {
	case h.shipped():
		return "the apps that ship with popup"
	case h.folder != "":
		return h.folder
	case h.ref != "":
		return h.url + "#" + h.ref
	}
	return h.url
}

// parse reads a manifest that was found here.
func (h home) parse(file string, text []byte) (apps.Manifest, error) {
	if h.url != "" && !apps.IsLocal(h.url) {
		return apps.ParseDistant(file, text)
	}
	return apps.Parse(file, text)
}

// place says of a manifest where it was read from, so that what it leaves out is found
// beside it. In a repository of many apps that is a folder of this repository.
func (h home) place(m apps.Manifest, commit string) (apps.Loaded, userdata.Origin) {
	id := m.ID
	loaded := apps.Loaded{Manifest: m, File: fileOf(id)}
	switch {
	case h.shipped():
		loaded.Shipped = id
		return loaded, userdata.Origin{Shipped: id}
	case h.folder != "":
		loaded.Dir = filepath.Join(h.folder, string(id))
		return loaded, userdata.Origin{Folder: loaded.Dir}
	}
	loaded.Manifest = beside(m, besideOptions{wire.Source{URL: h.url, Ref: h.ref}, commit, string(id)})
	return loaded, userdata.Origin{}
}

// besideOptions say where a manifest lies.
type besideOptions struct {
	in     wire.Source
	commit string // as it was read
	dir    string // of the repository; empty: its root
}

// beside writes into a manifest what is beside it: code at the commit that is shown, but
// for an app that says when to look for newer; and data as the repository goes on.
func beside(m apps.Manifest, at besideOptions) apps.Manifest {
	if m.Service.Repository == "" {
		m.Service.Repository, m.Service.Branch = at.in.URL, at.commit
		if m.Service.Update.Schedule != "" {
			m.Service.Branch = at.in.Ref
		}
		m.Service.RootDir = path.Join(at.dir, m.Service.RootDir)
	}
	// A check runs at the top of what was fetched, and would look for its files there.
	if d := m.Data; d != nil && d.Source == apps.SourceFolder && !filepath.IsAbs(d.URL) && d.Check.Command == "" {
		data := *d
		data.Source, data.Repository, data.Branch, data.URL = apps.SourceGit, at.in.URL, at.in.Ref, ""
		if folder := path.Join(at.dir, d.URL); d.Extract != "" {
			data.Extract = path.Join(folder, d.Extract)
		} else {
			data.InSubdir = path.Join(folder, d.InSubdir)
		}
		m.Data = &data
	}
	return m
}

func fileOf(id apps.AppID) string { return path.Join(string(id), apps.FileName) }
