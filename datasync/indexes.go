package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"popup/internal/atomicfile"
	"popup/internal/tree"
)

// Beside the revisions, under names that no revision has.
const (
	indexDir  = ".index"  // DIR/.index/<revision>: what it holds
	spareDir  = ".spare"  // DIR/.spare/<revision>: one that is to be made into another
	sourceDir = ".source" // DIR/.source: what was fetched, where something else is made of it
	bootName  = ".boot"   // which start of the machine the folder was last opened in
)

func (p *Publisher) indexPath(rev Revision) string {
	return filepath.Join(p.dir, indexDir, string(rev))
}

func (p *Publisher) writeIndex(rev Revision, index *tree.Index) error {
	if err := os.MkdirAll(filepath.Join(p.dir, indexDir), 0o755); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	return atomicfile.Write(p.indexPath(rev), index.Bytes(), 0o600)
}

// Index is what rev holds. Its error is fs.ErrNotExist where nobody knows, and
// tree.ErrIndex where what was written down is damaged.
func (p *Publisher) Index(rev Revision) (_ *tree.Index, err error) {
	f, err := os.Open(p.indexPath(rev))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return tree.ReadIndex(f)
}

// size is how big rev is, by its index, or else by reading it.
func (p *Publisher) size(ctx context.Context, rev Revision) (size tree.Size, err error) {
	index, err := p.Index(rev)
	if err != nil {
		err = inRoot(p.Path(rev), func(root *os.Root) (err error) { index, err = scan(ctx, root); return err })
	}
	if err != nil {
		return size, err
	}
	return index.Size(), nil
}

// base opens the revision that the next one is made upon: the current one, or else
// the newest. Nil: there is none that may be trusted. The caller gives it back to release.
func (p *Publisher) base() (Revision, *tree.Base) {
	candidates, err := p.List()
	if err != nil {
		return "", nil
	}
	if current, ok := p.Current(); ok {
		candidates = append([]Revision{current}, candidates...)
	}
	for _, rev := range candidates {
		if p.isDamaged(rev) {
			continue
		}
		p.hold(rev, 1)
		if index, err := p.Index(rev); err == nil {
			if root, err := os.OpenRoot(p.Path(rev)); err == nil {
				return rev, &tree.Base{Root: root, Index: index, Share: p.opts.Share}
			}
		}
		p.hold(rev, -1)
	}
	return "", nil
}

func (p *Publisher) release(rev Revision, base *tree.Base) error {
	p.hold(rev, -1)
	return base.Root.Close()
}

// hold keeps Prune from taking a base away while something is made upon it.
func (p *Publisher) hold(rev Revision, more int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bases[rev] += more; p.bases[rev] == 0 {
		delete(p.bases, rev)
	}
}

// Check looks whether rev is still as it was staged, as far as the inodes tell. One
// that is not is made anew when it is staged the next time, and until then nothing
// is made upon it. Its error is a *tree.DamagedError.
func (p *Publisher) Check(ctx context.Context, rev Revision) error {
	return p.inspect(ctx, rev, tree.Check)
}

// Verify is Check by reading all of rev.
func (p *Publisher) Verify(ctx context.Context, rev Revision) error {
	return p.inspect(ctx, rev, tree.Verify)
}

func (p *Publisher) inspect(ctx context.Context, rev Revision, by func(context.Context, *os.Root, *tree.Index) error) error {
	index, err := p.Index(rev)
	if errors.Is(err, fs.ErrNotExist) {
		return p.adopt(ctx, rev)
	}
	if err == nil {
		err = inRoot(p.Path(rev), func(root *os.Root) error { return by(ctx, root, index) })
	}
	var damaged *tree.DamagedError
	if errors.As(err, &damaged) || errors.Is(err, tree.ErrIndex) {
		p.markDamaged(rev)
	}
	return err
}

// adopt writes the index of a revision that was staged before there were any.
func (p *Publisher) adopt(ctx context.Context, rev Revision) error {
	return inRoot(p.Path(rev), func(root *os.Root) error {
		index, err := (&aside{dir: p.Path(rev), root: root}).scan(ctx)
		if err != nil {
			return err
		}
		return p.writeIndex(rev, index)
	})
}

func (p *Publisher) isDamaged(rev Revision) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.damaged[rev]
}

func (p *Publisher) markDamaged(rev Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.damaged[rev] = true
}

// distrust has the current revision be made anew, and the others not be kept.
func (p *Publisher) distrust() {
	current, _ := p.Current()
	all, _ := p.List() // where it cannot be read, nothing is staged either
	for _, rev := range all {
		if rev == current {
			p.markDamaged(rev)
		} else {
			p.reject(rev)
		}
	}
}

func (p *Publisher) forgetDamage(rev Revision) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.damaged, rev)
}
