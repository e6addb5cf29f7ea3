package apps

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
)

// Loaded is a manifest and where it came from.
type Loaded struct {
	Manifest
	// File is the manifest's file as messages name it; empty when it was detected.
	File string
	// Dir is the folder of this machine that the app is in, absolute; empty for a shipped app.
	Dir string
	// Shipped is the catalogue's app the manifest was taken from; empty: none.
	Shipped AppID
	// Detected is a sentence that says what was detected and from which file;
	// empty when there was an app.yaml.
	Detected string
}

// Given says which of an app's sources are named by whoever launches it, so that
// what the manifest names instead does not matter.
type Given struct{ Service, Data bool }

// foreign says whether a manifest came from a server, and what of it is replaced.
type foreign struct {
	distant bool
	given   Given
}

// Load reads the manifest of a file, or of a folder with an app.yaml. A folder
// without one is looked at instead, and Loaded.Detected says what was seen. The
// error is Problems when the manifest is at fault, and not when reading failed.
func Load(name string) (Loaded, error) {
	info, err := os.Stat(name)
	if err != nil {
		return Loaded{}, fmt.Errorf("read manifest: %w", err)
	}
	dir, err := filepath.Abs(name)
	if err != nil {
		return Loaded{}, fmt.Errorf("read manifest: %w", err)
	}
	if info.IsDir() {
		return loadFolder(dir, filepath.Join(name, FileName), filepath.Base(dir), "", foreign{})
	}
	dir, base := filepath.Split(dir)
	return inFolder(dir, func(folder fs.FS) (Loaded, error) { return readManifest(folder, base, name, foreign{}) })
}

// LoadCheckout reads the manifest of dir, a checkout of repository (its address,
// with or without #REF): its app.yaml, else the one the catalogue has for that repository, else what is detected.
// Files are named in messages as they are in the repository. A manifest from a
// server may not name folders of this machine, but where given replaces them.
func LoadCheckout(dir, repository string, given Given) (Loaded, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Loaded{}, fmt.Errorf("read manifest: %w", err)
	}
	repository, _, _ = strings.Cut(repository, "#")
	distant := IsRemote(repository) && !IsLocal(repository)
	return loadFolder(dir, FileName, RepositoryName(repository), repository, foreign{distant, given})
}

// RepositoryName is the last part of a repository's address.
func RepositoryName(repository string) string {
	name := path.Base(sameRepository(repository))
	return name[strings.LastIndexAny(name, ":@")+1:]
}

// loadFolder reads the manifest of a folder that is called name; file is what its app.yaml is called in messages.
func loadFolder(dir, file, name, repository string, from foreign) (Loaded, error) {
	return inFolder(dir, func(folder fs.FS) (Loaded, error) {
		loaded, err := readManifest(folder, FileName, file, from)
		if !errors.Is(err, fs.ErrNotExist) {
			return loaded, err
		}
		if id, ok := ShippedFor(repository); ok && repository != "" {
			loaded, err = LoadShipped(id)
			loaded.Detected = "the repository has no " + FileName + "; the catalogue's manifest " + string(id) + " is for it"
			return loaded, err
		}
		return detect(folder, name)
	})
}

// inFolder calls load with a view of dir that no link leads out of.
func inFolder(dir string, load func(fs.FS) (Loaded, error)) (loaded Loaded, err error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return Loaded{}, fmt.Errorf("read manifest: %w", err)
	}
	defer func() { err = errors.Join(err, root.Close()) }()
	loaded, err = load(root.FS())
	loaded.Dir = filepath.Clean(dir)
	return loaded, err
}

func readManifest(folder fs.FS, name, file string, from foreign) (Loaded, error) {
	text, err := ReadBounded(folder, name, MaxSize)
	if err != nil {
		return Loaded{}, fmt.Errorf("read %s: %w", file, err)
	}
	m, err := parse(file, text, from)
	if err != nil {
		return Loaded{}, err
	}
	return Loaded{Manifest: m, File: file}, nil
}

// ReadBounded reads a regular file, one byte further than most at most: by it whoever
// called sees that the file is larger.
func ReadBounded(folder fs.FS, name string, most int64) (content []byte, err error) {
	info, err := fs.Stat(folder, name) // before opening: a pipe would wait for its other end
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%q is not a regular file", name)
	}
	f, err := folder.Open(name)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, most+1))
}
