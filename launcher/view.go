package launcher

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"popup/datasync"
	"popup/launcher/front"
)

// keepReplaced is how long a view, a release or a revision stays after it was
// replaced: a slow request may still read it.
const keepReplaced = 10 * time.Minute

// A mount puts a folder into a view.
type mount struct {
	at     string // below the view
	target string // a folder that exists
	kind   front.MountKind
}

// views makes what is served: a release set aside with its data mount a symlink
// to exactly one revision, so that no request can see two days.
//
// A mount on data/current would not do: a running PHP process caches resolved
// paths and would read yesterday, or, with that cache off, half of each.
type views struct {
	dir  string
	link bool // the app cannot write our files, so views may share them

	mu       sync.Mutex
	users    map[string]int       // how many started apps show a view
	replaced map[string]time.Time // since when nobody does
	renewed  int                  // how often a release was made anew under its name
	now      func() time.Time
}

func openViews(dir string, link bool) (*views, error) {
	v := &views{dir: dir, link: link, users: map[string]int{}, replaced: map[string]time.Time{}, now: time.Now}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open views: %w", err)
	}
	for _, e := range entries { // nobody serves any of them yet
		if err := removeTree(filepath.Join(dir, e.Name())); err != nil {
			return nil, fmt.Errorf("sweep views: %w", err)
		}
	}
	return v, nil
}

// renew has views made from now on, instead of those there are: a release was made
// anew under its name, and they show what it was.
func (v *views) renew() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.renewed++
}

// name is what the view that is called so is named now.
func (v *views) name(called string) string {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.renewed == 0 {
		return called
	}
	return called + "-" + strconv.Itoa(v.renewed)
}

// make sets the tree below release aside under name, with mounts in it, and
// returns its path. A view of that name that is there already is whole and used
// again. Whoever asked for a view retires it, whether or not it could be made.
func (v *views) make(ctx context.Context, name, release string, mounts []mount) (string, error) {
	path := filepath.Join(v.dir, name)
	v.mu.Lock()
	v.users[name]++
	delete(v.replaced, name)
	v.mu.Unlock()
	if _, err := os.Lstat(path); err == nil {
		return path, nil
	}
	aside, err := os.MkdirTemp(v.dir, "tmp-")
	if err != nil {
		return "", fmt.Errorf("make view: %w", err)
	}
	err = v.fill(ctx, aside, release, mounts)
	if err == nil {
		err = os.Chmod(aside, 0o755)
	}
	if err == nil {
		err = os.Rename(aside, path)
	}
	if err != nil {
		return "", errors.Join(fmt.Errorf("make view: %w", err), removeTree(aside))
	}
	return path, nil
}

func (v *views) fill(ctx context.Context, aside, release string, mounts []mount) error {
	err := filepath.WalkDir(release, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		rel, err := filepath.Rel(release, path)
		if err != nil || rel == "." {
			return err
		}
		for _, m := range mounts {
			if rel == filepath.Clean(m.at) { // what the release has there is covered
				if d.IsDir() {
					return fs.SkipDir
				}
				return nil
			}
		}
		return v.place(path, filepath.Join(aside, rel), d)
	})
	if err != nil {
		return err
	}
	for _, m := range mounts {
		if err := placeMount(aside, m); err != nil {
			return err
		}
	}
	return nil
}

func (v *views) place(from, to string, d fs.DirEntry) error {
	switch {
	case d.IsDir():
		return os.Mkdir(to, 0o755)
	case d.Type()&fs.ModeSymlink != 0:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case v.link:
		return os.Link(from, to)
	default:
		return copyFile(from, to)
	}
}

// placeMount goes through os.Root, so that a symlink in the release cannot move
// the mount out of the view.
func placeMount(view string, m mount) error {
	root, err := os.OpenRoot(view)
	if err != nil {
		return err
	}
	defer root.Close() //nolint:errcheck // nothing was written to it
	if parent := filepath.Dir(m.at); parent != "." {
		if err := root.MkdirAll(parent, 0o755); err != nil {
			return fmt.Errorf("mount %s: %w", m.at, err)
		}
	}
	if err := root.Symlink(m.target, m.at); err != nil {
		return fmt.Errorf("mount %s: %w", m.at, err)
	}
	return nil
}

// copyFile shares the blocks where the file system can, and copies where it cannot.
func copyFile(from, to string) (err error) {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // it was only read
	info, err := in.Stat()
	if err != nil {
		return err
	}
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	if unix.IoctlFileClone(int(out.Fd()), int(in.Fd())) == nil {
		return nil
	}
	_, err = io.Copy(out, in)
	return err
}

// retire gives a view back. When nobody shows it any more, its ten minutes begin.
func (v *views) retire(name string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.users[name]--; v.users[name] <= 0 {
		delete(v.users, name)
		v.replaced[name] = v.now()
	}
}

// prune removes the views whose time is over.
func (v *views) prune() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	var errs []error
	for name, since := range v.replaced {
		if v.now().Sub(since) < keepReplaced {
			continue
		}
		if err := removeTree(filepath.Join(v.dir, name)); err != nil {
			errs = append(errs, fmt.Errorf("remove view: %w", err))
			continue
		}
		delete(v.replaced, name)
	}
	return errors.Join(errs...)
}

// uses reports whether a view that still exists shows id.
func (v *views) uses(id datasync.Revision) bool {
	entries, err := os.ReadDir(v.dir)
	if err != nil {
		return true // not knowing, keep it
	}
	return slices.ContainsFunc(entries, func(e fs.DirEntry) bool { return strings.Contains(e.Name(), id.Short()) })
}

// viewName names the view of a pair.
func viewName(p pair) string { return p.Release.Short() + "-" + p.Revision.Short() }

// removeTree removes a tree that may be read-only.
func removeTree(path string) error {
	err := os.RemoveAll(path)
	if !errors.Is(err, fs.ErrPermission) {
		return err
	}
	walkErr := filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			return os.Chmod(p, 0o700)
		}
		return nil
	})
	return errors.Join(walkErr, os.RemoveAll(path))
}
