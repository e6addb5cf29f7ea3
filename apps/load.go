package apps

import "errors"

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

// Load reads the manifest of a file, or of a folder with an app.yaml. A folder
// without one is looked at instead, and Loaded.Detected says what was seen.
// The error is Problems unless the file system failed.
func Load(path string) (Loaded, error) { return Loaded{}, errors.New("not yet") }

// LoadCheckout reads the manifest of dir, a checkout of repository: its app.yaml,
// else the one the catalogue has for that repository, else what is detected.
// Files are named in messages as they are in the repository.
func LoadCheckout(dir, repository string) (Loaded, error) { return Loaded{}, errors.New("not yet") }
