package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"popup/internal/atomicfile"
	"popup/internal/tree"
)

// recover makes the folder what a Publisher may count on.
func (p *Publisher) recover() error {
	if err := os.MkdirAll(p.dir, 0o755); err != nil {
		return err
	}
	if err := p.sweep(); err != nil {
		return fmt.Errorf("sweep: %w", err)
	}
	if err := p.afterCrash(context.Background()); err != nil {
		return err
	}
	return p.checkCurrent()
}

// sweep removes what was half made, and indexes of what is no more.
func (p *Publisher) sweep() error {
	entries, err := os.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), tempPrefix) {
			if err := removeTree(filepath.Join(p.dir, e.Name())); err != nil {
				return err
			}
		}
	}
	indexes, err := os.ReadDir(filepath.Join(p.dir, indexDir))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	spare, _ := p.spare()
	current, _ := p.Current()
	for _, e := range indexes {
		rev := Revision(e.Name())
		info, err := e.Info()
		switch {
		case err != nil:
			return err
		case info.Size() == 0 && rev != current && p.Has(rev): // it was being removed
			err = p.remove(rev)
		case rev != spare && !p.Has(rev):
			err = os.Remove(p.indexPath(rev))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// checkCurrent removes a current that leads nowhere, and refuses what is not ours.
func (p *Publisher) checkCurrent() error {
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

// afterCrash reads all revisions where the machine went down while the folder was
// open: what a disk had promised may have been lost. One that was damaged is
// removed, and one that cannot be read stays, but nothing is made upon it; when it was
// the current one, the newest that is whole takes its place.
func (p *Publisher) afterCrash(ctx context.Context) error {
	boot, err := p.opts.boot()
	if err != nil {
		return err
	}
	path := filepath.Join(p.dir, bootName)
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if len(before) > 0 && string(before) != boot {
		if err := p.verifyAll(ctx); err != nil {
			return err
		}
	}
	return atomicfile.Write(path, []byte(boot), 0o600)
}

func (p *Publisher) verifyAll(ctx context.Context) error {
	p.dropSpare()
	all, err := p.list()
	if err != nil {
		return err
	}
	current, had := p.Current()
	var whole []Revision
	for _, rev := range all {
		err := p.Verify(ctx, rev)
		var damaged *tree.DamagedError
		switch {
		case err == nil:
			whole = append(whole, rev)
			continue
		case ctx.Err() != nil:
			return ctx.Err()
		case !errors.As(err, &damaged) && !errors.Is(err, tree.ErrIndex):
			p.markDamaged(rev)
			p.lost = append(p.lost, fmt.Errorf("%s cannot be read: %w", rev.Short(), err))
			continue
		}
		p.lost = append(p.lost, fmt.Errorf("%s was damaged when the machine went down: %w", rev.Short(), err))
		if err := p.remove(rev); err != nil {
			return err
		}
	}
	if !had || len(whole) == 0 || p.Has(current) && !p.isDamaged(current) {
		return nil
	}
	return p.Flip(whole[0])
}

// Lost says which revisions were damaged when the machine went down, and removed.
func (p *Publisher) Lost() []error { return p.lost }

// bootID is another at each start of the machine.
func bootID() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(id)), err
}
