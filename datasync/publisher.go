package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
	"popup/internal/atomicfile"
)

const (
	tempPrefix  = atomicfile.TempPrefix
	currentName = "current"
)

// What zero PublisherOptions mean.
const (
	defaultRetain = 3
	defaultLinger = 10 * time.Minute
)

// PublisherOptions say what is kept.
type PublisherOptions struct {
	Retain int              // how many of the newest revisions Prune keeps; 0: 3
	Linger time.Duration    // how long Prune keeps a replaced revision, which a slow reader may still read; 0: 10 minutes
	Now    func() time.Time // nil: time.Now
}

// A Publisher owns a folder of revisions: DIR/<revision>/, each whole under that
// name, and DIR/current, a relative symlink to one of them. What is being made has
// a unique name that begins with tmp-. One process may own a folder at a time;
// within it, the methods may be called from several goroutines.
type Publisher struct {
	dir  string
	opts PublisherOptions

	mu       sync.Mutex
	replaced map[Revision]time.Time // when Flip last went from it to another
	rejected map[Revision]bool      // not worth keeping
}

// OpenPublisher opens dir, making it when it is not there, and sweeps what a crash
// left behind. It returns an error when current is anything but a symlink to a
// revision that is there; one that leads nowhere is removed.
func OpenPublisher(dir string, opts PublisherOptions) (*Publisher, error) {
	if opts.Retain <= 0 {
		opts.Retain = defaultRetain
	}
	if opts.Linger <= 0 {
		opts.Linger = defaultLinger
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	p := &Publisher{dir: dir, opts: opts, replaced: map[Revision]time.Time{}, rejected: map[Revision]bool{}}
	if err := p.recover(); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return p, nil
}

// recover makes the folder what a Publisher may count on.
func (p *Publisher) recover() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := removeTree(filepath.Join(p.dir, e.Name())); err != nil {
				return fmt.Errorf("sweep: %w", err)
			}
		}
	}
	link := filepath.Join(p.dir, currentName)
	info, err := os.Lstat(link)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink == 0:
		return fmt.Errorf("%s is no symlink, so it is not ours; move it away", currentName)
	}
	if _, ok := p.Current(); !ok {
		return os.Remove(link)
	}
	return nil
}

// Dir is the folder.
func (p *Publisher) Dir() string { return p.dir }

// Path is where rev is, or would be.
func (p *Publisher) Path(rev Revision) string { return filepath.Join(p.dir, string(rev)) }

// Has says whether rev is there. A revision under its name is whole.
func (p *Publisher) Has(rev Revision) bool {
	if !rev.valid() {
		return false
	}
	info, err := os.Lstat(p.Path(rev))
	return err == nil && info.IsDir()
}

// Current is the revision that current names.
func (p *Publisher) Current() (Revision, bool) {
	target, err := os.Readlink(filepath.Join(p.dir, currentName))
	if rev := Revision(target); err == nil && p.Has(rev) {
		return rev, true
	}
	return "", false
}

// Since is when current was last changed; zero when there is none.
func (p *Publisher) Since() time.Time {
	info, err := os.Lstat(filepath.Join(p.dir, currentName))
	if err != nil {
		return time.Time{}
	}
	return info.ModTime()
}

// List names the revisions that are there, the one staged last first. One that was
// rejected is left out.
func (p *Publisher) List() ([]Revision, error) {
	all, err := p.list()
	if err != nil {
		return nil, fmt.Errorf("list revisions: %w", err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.DeleteFunc(all, func(rev Revision) bool { return p.rejected[rev] }), nil
}

func (p *Publisher) list() ([]Revision, error) {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return nil, err
	}
	staged := map[Revision]time.Time{}
	var all []Revision
	for _, e := range entries {
		rev := Revision(e.Name())
		if !e.IsDir() || !rev.valid() {
			continue
		}
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // pruned meanwhile
		}
		if err != nil {
			return nil, err
		}
		staged[rev] = info.ModTime()
		all = append(all, rev)
	}
	slices.SortFunc(all, func(a, b Revision) int {
		if order := staged[b].Compare(staged[a]); order != 0 {
			return order
		}
		return strings.Compare(string(a), string(b))
	})
	return all, nil
}

// Stage calls fill with an empty folder, makes what it wrote read-only (0444, or
// 0555 for folders and what is executable), syncs it, and gives it its final name.
// It is not current yet. A revision that is there already is only marked as the
// newest. On an error nothing is left; DiskFullError says that the disk was full.
func (p *Publisher) Stage(ctx context.Context, rev Revision, fill func(ctx context.Context, dir string) error) error {
	if !rev.valid() {
		return fmt.Errorf("stage revision: %q cannot be the name of a folder", string(rev))
	}
	if p.Has(rev) {
		return p.touch(p.Path(rev))
	}
	err := p.aside(func(dir string) error {
		if err := fill(ctx, dir); err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		return p.finish(dir, rev)
	})
	return diskFull(p.dir, err)
}

// aside calls use with a new folder that is gone afterwards, unless use gave it another name.
func (p *Publisher) aside(use func(dir string) error) error {
	dir, err := os.MkdirTemp(p.dir, tempPrefix)
	if err != nil {
		return fmt.Errorf("stage revision: %w", err)
	}
	if err = os.Chmod(dir, 0o755); err == nil { // the app's own user checks what is in it
		err = use(dir)
	}
	if _, gone := os.Lstat(dir); errors.Is(gone, fs.ErrNotExist) {
		return err
	}
	return errors.Join(err, removeTree(dir))
}

func (p *Publisher) finish(dir string, rev Revision) error {
	if err := seal(dir); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	if err := p.touch(dir); err != nil {
		return err
	}
	if err := atomicfile.SyncFS(p.dir); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	if err := os.Rename(dir, p.Path(rev)); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	return atomicfile.SyncDir(p.dir)
}

// touch marks a revision as the one staged last.
func (p *Publisher) touch(dir string) error {
	now := p.opts.Now()
	if err := os.Chtimes(dir, now, now); err != nil {
		return fmt.Errorf("stage revision: %w", err)
	}
	return nil
}

// Flip makes rev the current one, by one rename. Readers see the old one or rev.
func (p *Publisher) Flip(rev Revision) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.Has(rev) {
		return fmt.Errorf("flip to %s: it is not here; stage it first", rev.Short())
	}
	before, had := p.Current()
	if had && before == rev {
		return nil
	}
	if err := atomicfile.Symlink(string(rev), filepath.Join(p.dir, currentName)); err != nil {
		return diskFull(p.dir, fmt.Errorf("flip to %s: %w", rev.Short(), err))
	}
	if had {
		p.replaced[before] = p.opts.Now()
	}
	delete(p.rejected, rev)
	return nil
}

// Prune removes revisions, but not the newest ones (see PublisherOptions.Retain),
// the current one, those that were replaced a moment ago, and those that keep says
// are in use. A nil keep keeps no more.
func (p *Publisher) Prune(keep func(Revision) bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	all, err := p.list()
	if err != nil {
		return fmt.Errorf("prune revisions: %w", err)
	}
	current, _ := p.Current()
	kept := 0
	var errs error
	for _, rev := range all {
		if !p.rejected[rev] && kept < p.opts.Retain {
			kept++
			continue
		}
		at, wasCurrent := p.replaced[rev]
		lingers := wasCurrent && p.opts.Now().Sub(at) < p.opts.Linger
		if rev == current || lingers || keep != nil && keep(rev) {
			continue
		}
		if err := p.remove(rev); err != nil {
			errs = errors.Join(errs, fmt.Errorf("prune %s: %w", rev.Short(), err))
			continue
		}
		delete(p.replaced, rev)
		delete(p.rejected, rev)
	}
	return errs
}

// remove takes the name away first: a revision under its name is whole.
func (p *Publisher) remove(rev Revision) error {
	dir, err := os.MkdirTemp(p.dir, tempPrefix+"old-")
	if err != nil {
		return err
	}
	// os.Rename would refuse the empty folder; another parent would want a writable tree.
	if err := unix.Rename(p.Path(rev), dir); err != nil {
		return errors.Join(err, os.Remove(dir))
	}
	return removeTree(dir)
}

// reject marks a revision as not worth keeping.
func (p *Publisher) reject(rev Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected[rev] = true
}
