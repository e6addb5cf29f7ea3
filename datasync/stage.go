package datasync

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
	"popup/internal/atomicfile"
	"popup/internal/git"
	"popup/internal/tree"
)

// Stage calls fill with an empty folder, makes what it wrote read-only (0444, or
// 0555 for folders and what is executable), syncs it, and gives it its final name.
// It is not current yet. A revision that is there already is only marked as the
// newest. On an error nothing is left; DiskFullError says that the disk was full.
func (p *Publisher) Stage(ctx context.Context, rev Revision, fill func(ctx context.Context, dir string) error) error {
	return p.stage(ctx, rev, func(ctx context.Context, a *aside) (*tree.Index, error) {
		if err := fill(ctx, a.dir); err != nil {
			return nil, err
		}
		return a.scan(ctx)
	})
}

// An aside is a revision that is being made.
type aside struct {
	dir   string
	root  *os.Root
	base  *tree.Base  // the newest revision that is here; nil: none
	have  Revision    // which one that is
	spare *tree.Index // what the folder holds already; nil: nothing
}

// writer writes the tree that is being made, upon what is here.
func (a *aside) writer(limits tree.Limits) *tree.Writer {
	return tree.NewWriter(a.root, tree.WriterOptions{Limits: limits, Base: a.base, Spare: a.spare})
}

// scan seals a tree that was written by others, and reads what it holds.
func (a *aside) scan(ctx context.Context) (*tree.Index, error) {
	if err := seal(a.dir); err != nil {
		return nil, err
	}
	return scan(ctx, a.root)
}

func scan(ctx context.Context, root *os.Root) (*tree.Index, error) {
	return tree.Scan(ctx, root.FS(), tree.Limits{Bytes: 1 << 50, Files: 1 << 30}) // whoever filled it, bounded it
}

type filler func(ctx context.Context, a *aside) (*tree.Index, error)

// stage makes rev by fill in an empty folder.
func (p *Publisher) stage(ctx context.Context, rev Revision, fill filler) error {
	return p.make(ctx, rev, "", fill)
}

// stageUpon makes rev by fill, upon the newest revision and a spare. Where that
// revision turns out to be damaged, or the server believes that more is here than is,
// rev is made once more, upon nothing.
func (p *Publisher) stageUpon(ctx context.Context, rev Revision, fill filler) error {
	if p.Has(rev) && !p.isDamaged(rev) {
		return p.stage(ctx, rev, fill)
	}
	have, base := p.base()
	if base == nil {
		return p.stage(ctx, rev, fill)
	}
	dir, spare := p.takeSpare()
	err := p.make(ctx, rev, dir, func(ctx context.Context, a *aside) (*tree.Index, error) {
		a.base, a.have, a.spare = base, have, spare
		return fill(ctx, a)
	})
	err = errors.Join(err, p.release(have, base))
	var damaged *tree.DamagedError
	if errors.As(err, &damaged) && ctx.Err() == nil {
		p.markDamaged(have)
		return p.stage(ctx, rev, fill)
	}
	var known *git.Error
	if errors.As(err, &known) && known.Class == git.Content && known.Retry && ctx.Err() == nil {
		return p.stage(ctx, rev, fill) // the server left out what it thinks is here
	}
	return err
}

// make makes rev in dir, or in a new folder where dir is empty.
func (p *Publisher) make(ctx context.Context, rev Revision, dir string, fill filler) error {
	if !rev.valid() {
		return fmt.Errorf("stage revision: %q cannot be the name of a folder", string(rev))
	}
	if p.Has(rev) && !p.isDamaged(rev) {
		return p.touch(p.Path(rev))
	}
	err := p.aside(dir, func(dir string) error {
		return inRoot(dir, func(root *os.Root) error {
			index, err := fill(ctx, &aside{dir: dir, root: root})
			if err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			return p.finish(dir, rev, index)
		})
	})
	if isDiskFull(err) {
		p.mu.Lock()
		p.dropSpare()
		p.mu.Unlock()
	}
	return diskFull(p.dir, err)
}

// aside calls use with dir, or a new folder, which is gone afterwards unless use
// gave it another name.
func (p *Publisher) aside(dir string, use func(dir string) error) (err error) {
	if dir == "" {
		if dir, err = os.MkdirTemp(p.dir, tempPrefix); err != nil {
			return fmt.Errorf("stage revision: %w", err)
		}
	}
	if err = os.Chmod(dir, 0o755); err == nil { // the app's own user checks what is in it
		err = use(dir)
	}
	if _, gone := os.Lstat(dir); errors.Is(gone, fs.ErrNotExist) {
		return err
	}
	return errors.Join(err, removeTree(dir))
}

// finish gives what is whole its name: first its index, then all of it is made
// durable, and then it is renamed.
func (p *Publisher) finish(dir string, rev Revision, index *tree.Index) error {
	if err := p.touch(dir); err != nil {
		return err
	}
	if err := p.writeIndex(rev, index); err != nil {
		return err
	}
	if err := atomicfile.SyncFS(p.dir); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	rename := os.Rename
	if p.Has(rev) {
		rename = p.exchange
	}
	if err := rename(dir, p.Path(rev)); err != nil {
		return fmt.Errorf("stage %s: %w", rev.Short(), err)
	}
	p.forgetDamage(rev)
	return atomicfile.SyncDir(p.dir)
}

// exchange puts dir in the place of a revision that was damaged, at once. What was
// there lingers, like a revision that was replaced: a reader may have it open.
func (p *Publisher) exchange(dir, path string) error {
	aside := p.newName("mended-")
	err := unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, path, unix.RENAME_EXCHANGE)
	switch {
	case err == nil:
		err = os.Rename(dir, aside)
	case errors.Is(err, unix.EXDEV): // of an image's layer: nothing there has another name, ever
		err = errors.Join(removeTree(path), os.Rename(dir, path))
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, unix.EOPNOTSUPP): // the file system cannot
		err = errors.Join(os.Rename(path, aside), os.Rename(dir, path))
	}
	p.mu.Lock()
	p.mended[aside] = p.opts.Now()
	p.mu.Unlock()
	return err
}

// newName is one that nothing has, for what is being made or removed.
func (p *Publisher) newName(what string) string {
	return filepath.Join(p.dir, tempPrefix+what+strconv.FormatUint(rand.Uint64(), 36))
}

// touch marks a revision as the one staged last.
func (p *Publisher) touch(dir string) error {
	now := p.opts.Now()
	if err := os.Chtimes(dir, now, now); err != nil {
		return fmt.Errorf("stage revision: %w", err)
	}
	return nil
}
