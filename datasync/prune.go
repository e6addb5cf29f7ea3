package datasync

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
	"popup/internal/atomicfile"
)

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
		if rev == current || p.bases[rev] > 0 || p.lingers(p.replaced[rev]) || keep != nil && keep(rev) {
			continue
		}
		if err := p.retire(rev); err != nil {
			errs = errors.Join(errs, fmt.Errorf("prune %s: %w", rev.Short(), err))
			continue
		}
		delete(p.replaced, rev)
		delete(p.rejected, rev)
		delete(p.damaged, rev)
	}
	for path, at := range p.mended {
		if p.lingers(at) {
			continue
		}
		if err := removeTree(path); err != nil {
			errs = errors.Join(errs, fmt.Errorf("prune what was mended: %w", err))
			continue
		}
		delete(p.mended, path)
	}
	return errs
}

func (p *Publisher) lingers(since time.Time) bool {
	return !since.IsZero() && p.opts.Now().Sub(since) < p.opts.Linger
}

// retire takes a revision away, or keeps it for the next one to be made of.
func (p *Publisher) retire(rev Revision) error {
	useful := p.opts.Share && p.reuses && !p.rejected[rev] && !p.damaged[rev]
	if useful && p.setAside(rev) == nil { // a disk that is full has no room for that
		return nil
	}
	return p.remove(rev)
}

// remove takes the name away first: a revision under its name is whole.
func (p *Publisher) remove(rev Revision) error {
	dir := p.newName("old-")
	err := os.Rename(p.Path(rev), dir)
	if errors.Is(err, unix.EXDEV) { // of an image's layer, where nothing is renamed: sweep knows it by the empty index
		dir = p.Path(rev)
		err = atomicfile.Write(p.indexPath(rev), nil, 0o600)
	}
	if err != nil {
		return err
	}
	if err := removeTree(dir); err != nil {
		return err
	}
	if err := os.Remove(p.indexPath(rev)); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
