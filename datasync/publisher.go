package datasync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

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
	Share  bool             // revisions may share the files that are alike, by hard links: nobody but popup can write them
	Now    func() time.Time // nil: time.Now
	// boot names the start of the machine; nil: the kernel's boot id.
	boot func() (string, error)
}

// A Publisher owns a folder of revisions: DIR/<revision>/, each whole under that
// name, and DIR/current, a relative symlink to one of them. What is being made has
// a unique name that begins with tmp-; DIR/.index/<revision> says what a revision
// holds, and DIR/.spare/<revision> is one that is to be made into another. One
// process may own a folder at a time; within it, the methods may be called from
// several goroutines.
type Publisher struct {
	dir  string
	opts PublisherOptions
	lost []error // by recover

	mu       sync.Mutex
	replaced map[Revision]time.Time // when Flip last went from it to another
	rejected map[Revision]bool      // not worth keeping
	damaged  map[Revision]bool      // no longer what its index says
	mended   map[string]time.Time   // what stood in the place of a revision before it was mended: path to when
	bases    map[Revision]int       // how many are being made upon it
	reuses   bool                   // revisions are made upon others, so that a spare is of use
}

// OpenPublisher opens dir, making it when it is not there, and sweeps what a crash
// left behind. It returns an error when current is anything but a symlink to a
// revision that is there; one that leads nowhere is removed. Where the machine went
// down without Close, every revision is read and held against its index, and one
// that was damaged is removed.
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
	if opts.boot == nil {
		opts.boot = bootID
	}
	p := &Publisher{dir: dir, opts: opts, replaced: map[Revision]time.Time{}, rejected: map[Revision]bool{},
		damaged: map[Revision]bool{}, mended: map[string]time.Time{}, bases: map[Revision]int{}}
	if err := p.recover(); err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	return p, nil
}

// Close says that all was well: the next one to open the folder need not read all of
// it again, even when the machine was started anew in between.
func (p *Publisher) Close() error {
	err := os.Remove(filepath.Join(p.dir, bootName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
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

// reject marks a revision as not worth keeping.
func (p *Publisher) reject(rev Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rejected[rev] = true
}

// accept takes that back.
func (p *Publisher) accept(rev Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.rejected, rev)
}
