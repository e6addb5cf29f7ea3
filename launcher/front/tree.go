package front

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// A MountKind says who wrote what a mount holds.
type MountKind int

const (
	// MountData is a revision: read-only content of the app's author. (The zero value.)
	MountData MountKind = iota
	// MountState is what the running app wrote, uploads of strangers included. It
	// is sent so that a browser neither runs it nor takes it for a page of the site.
	MountState
)

// A Mount lays a folder over the release.
type Mount struct {
	Path string   // where, relative to the root of the release, with slashes; what the release has there is covered
	Root *os.Root // of the revision (its in_subdir applied) or of the state; the caller closes it after Stop
	Kind MountKind
}

// tree is what a serving can show: the release with its mounts, as one name
// space, of which the folder publish is the site.
type tree struct {
	release *os.Root
	publish string  // "." for all of it
	mounts  []Mount // the longest path first
}

func newTree(release *os.Root, publish string, mounts []Mount) (*tree, error) {
	if release == nil {
		return nil, errors.New("serve files: no release is given")
	}
	clean, err := cleanName("publish_path", publish)
	if err != nil {
		return nil, err
	}
	t := &tree{release: release, publish: clean}
	for _, m := range mounts {
		if m.Root == nil {
			return nil, fmt.Errorf("mount %q: no folder is given", m.Path)
		}
		if m.Path == "" {
			return nil, errors.New("mount a folder: no path is given")
		}
		if m.Path, err = cleanName("mount", m.Path); err != nil {
			return nil, err
		}
		t.mounts = append(t.mounts, m)
	}
	slices.SortStableFunc(t.mounts, func(a, b Mount) int { return len(b.Path) - len(a.Path) })
	return t, t.checkPublished()
}

func cleanName(field, name string) (string, error) {
	clean := path.Clean(filepath.ToSlash(name))
	if name == "" {
		clean = "."
	}
	if !fs.ValidPath(clean) {
		return "", fmt.Errorf("%s %q points out of the release; give a folder in it, without .. and not beginning with /", field, name)
	}
	return clean, nil
}

// checkPublished says early what would be a site of nothing but 404.
func (t *tree) checkPublished() error {
	pl := t.resolve(t.publish)
	info, err := pl.root.Stat(pl.name)
	if err != nil {
		return fmt.Errorf("publish_path %q is not in the release; give a folder that is", t.publish)
	}
	if !info.IsDir() {
		return fmt.Errorf("publish_path %q is a file; give the folder it is in", t.publish)
	}
	return nil
}

// A place is where something is, or would be.
type place struct {
	root *os.Root
	name string // within root
	from origin
}

type origin int

const (
	fromRelease origin = iota
	fromData
	fromState
)

// locate returns the place of a request's path. It refuses what is never
// served: dot files (but .well-known), the manifest, and the app's databases.
func (t *tree) locate(urlPath string) (place, bool) {
	clean := strings.TrimPrefix(path.Clean("/"+urlPath), "/")
	if hidden(clean) {
		return place{}, false
	}
	name := path.Join(t.publish, clean)
	if clean == "app.yaml" || name == "app.yaml" { // at the top of the site, or of the release
		return place{}, false
	}
	pl := t.resolve(name)
	if pl.from == fromState && database(pl.name) {
		return place{}, false
	}
	return pl, true
}

// resolve finds the mount that covers name, or else the release.
func (t *tree) resolve(name string) place {
	for _, m := range t.mounts {
		from := fromData
		if m.Kind == MountState {
			from = fromState
		}
		switch rest, below := strings.CutPrefix(name, m.Path+"/"); {
		case m.Path == ".":
			return place{m.Root, name, from}
		case name == m.Path:
			return place{m.Root, ".", from}
		case below:
			return place{m.Root, rest, from}
		}
	}
	return place{t.release, name, fromRelease}
}

func hidden(clean string) bool {
	for segment := range strings.SplitSeq(clean, "/") {
		if strings.HasPrefix(segment, ".") && segment != ".well-known" {
			return true
		}
	}
	return false
}

// database says whether a state file is a store of the app rather than an
// upload: where the state is mounted below the site, nobody downloads all bids.
func database(name string) bool {
	base := strings.ToLower(path.Base(name))
	base = strings.TrimSuffix(strings.TrimSuffix(strings.TrimSuffix(base, "-wal"), "-shm"), "-journal")
	switch path.Ext(base) {
	case ".db", ".db3", ".sqlite", ".sqlite3", ".s3db":
		return true
	}
	return false
}

var errNotServed = errors.New("not a file or folder")

// open opens a file or a folder. Nothing else is opened to the end: a fifo that
// an app left in its state would hold the request for ever.
func (pl place) open() (*os.File, fs.FileInfo, error) {
	f, err := pl.root.OpenFile(pl.name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() {
		err = errNotServed
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// missing says whether an error of open means that there is no such page, and
// not that this machine is in trouble. A link out of its root is no page either.
func missing(err error) bool {
	for _, trouble := range []error{syscall.EMFILE, syscall.ENFILE, syscall.EIO, syscall.ENOMEM, syscall.ESTALE, os.ErrClosed} {
		if errors.Is(err, trouble) {
			return false
		}
	}
	return true
}

// isScript says whether a place is a regular .php file of the release itself, on
// whose way there is no link: not a mount, and nothing a link leads to.
func (pl place) isScript() bool {
	if pl.from != fromRelease || path.Ext(pl.name) != ".php" {
		return false
	}
	for i := range len(pl.name) {
		if pl.name[i] != '/' {
			continue
		}
		if info, err := pl.root.Lstat(pl.name[:i]); err != nil || !info.IsDir() {
			return false
		}
	}
	info, err := pl.root.Lstat(pl.name)
	return err == nil && info.Mode().IsRegular()
}
