package datasync

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"popup/internal/tree"
)

// A spare is a revision that nobody reads any more. Instead of removing it, the next
// one is made of it: most of its files are right already.

// setAside makes a spare of rev, instead of the one there is. The caller holds p.mu.
func (p *Publisher) setAside(rev Revision) error {
	p.dropSpare()
	if err := os.MkdirAll(filepath.Join(p.dir, spareDir), 0o755); err != nil {
		return err
	}
	return renameSealed(p.Path(rev), filepath.Join(p.dir, spareDir, string(rev)))
}

// renameSealed moves a read-only folder to another parent: its own entry for the
// parent is written, which takes the right to write it.
func renameSealed(from, to string) error {
	if err := os.Chmod(from, 0o755); err != nil {
		return err
	}
	return os.Rename(from, to)
}

// takeSpare gives the spare a name to work under, and makes it writable. Without one
// that may be trusted, dir is empty.
func (p *Publisher) takeSpare() (dir string, index *tree.Index) {
	if dir, index = p.renameSpare(); dir == "" {
		return "", nil
	}
	if err := inRoot(dir, func(root *os.Root) error { return tree.Unseal(root, index) }); err != nil { // an empty folder does it too
		_ = removeTree(dir) // what is left under such a name is swept at the next start
		return "", nil
	}
	return dir, index
}

// renameSpare takes the spare out of reach of Prune, which would remove it for another.
func (p *Publisher) renameSpare() (dir string, index *tree.Index) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.reuses = true
	rev, ok := p.spare()
	if !ok {
		return "", nil
	}
	dir = p.newName("")
	index, err := p.Index(rev)
	if err == nil {
		err = os.Rename(filepath.Join(p.dir, spareDir, string(rev)), dir)
	}
	if err == nil && !p.Has(rev) {
		err = os.Remove(p.indexPath(rev))
	}
	if err != nil {
		p.dropSpare()
		_ = removeTree(dir)
		return "", nil
	}
	return dir, index
}

// spare names the one there is.
func (p *Publisher) spare() (Revision, bool) {
	entries, err := os.ReadDir(filepath.Join(p.dir, spareDir))
	if err != nil || len(entries) == 0 {
		return "", false
	}
	return Revision(entries[0].Name()), true
}

// dropSpare removes it, for the room it takes. The caller holds p.mu.
func (p *Publisher) dropSpare() {
	rev, ok := p.spare()
	if err := removeTree(filepath.Join(p.dir, spareDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if ok && !p.Has(rev) {
		_ = os.Remove(p.indexPath(rev)) // swept at the next start
	}
}
