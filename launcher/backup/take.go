// Package backup takes, saves and restores the state of an app.
package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"

	"popup/internal/archive"
)

// TakeOptions say what an archive says of itself.
type TakeOptions struct {
	App      string
	Instance string
	At       time.Time // when it is taken; zero: now
	Final    bool      // it is taken at the end, after the last write
	// Secrets go with an archive that is encrypted, and are left out of any other.
	Secrets archive.Secrets
	// Copy copies databases. Nil: they are read like files, together with their journals.
	Copy  CopyDatabase
	Notes []string // sentences about what is less good than it could be
}

// Take writes everything below state to w, as an archive. Sockets, pipes, devices,
// and links that lead out of state are left out and named in the manifest.
//
// A file that is written to while it is read is read again; one that never holds
// still, or is too big to be read again, is kept and marked as changed. An SQLite
// database is copied by opts.Copy; without that, and where it cannot, the database and
// its journals count as one file, which is safe while nothing writes.
//
// After an error, what was written to w is no archive. Take does not close w.
func Take(ctx context.Context, state *os.Root, w io.Writer, opts TakeOptions) (archive.Manifest, error) {
	if opts.At.IsZero() {
		opts.At = time.Now()
	}
	out, err := archive.NewWriter(w, archive.Manifest{
		App: opts.App, Instance: opts.Instance, Taken: opts.At, Final: opts.Final, Secrets: opts.Secrets, Notes: opts.Notes,
	})
	if err != nil {
		return archive.Manifest{}, fmt.Errorf("take backup: %w", err)
	}
	t := &taker{state: state, out: out, copy: opts.Copy, done: map[string]bool{}}
	if err := errors.Join(t.folder(ctx, "."), ctx.Err()); err != nil {
		return archive.Manifest{}, fmt.Errorf("take backup: %w", err)
	}
	if err := out.Close(); err != nil {
		return archive.Manifest{}, fmt.Errorf("take backup: %w", err)
	}
	return out.Manifest, nil
}

// A taker is one Take.
type taker struct {
	state *os.Root
	out   *archive.Writer
	copy  CopyDatabase
	done  map[string]bool // files that were taken together with another
	// asFile is the database that copy could not copy last.
	asFile string
}

// errGone says that something is no longer there. It is not an error from the
// vault, which may miss things of its own.
var errGone = errors.New("it is gone")

func gone(verb, name string, err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return errGone
	}
	return fmt.Errorf("%s %q: %w", verb, name, err)
}

// folder takes what is in a folder. What vanishes meanwhile was never there.
func (t *taker) folder(ctx context.Context, name string) error {
	entries, err := t.list(name)
	if err != nil {
		return gone("list", name, err)
	}
	for _, entry := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		err := t.entry(ctx, path.Join(name, entry.Name()))
		if err != nil && !errors.Is(err, errGone) {
			return err
		}
	}
	return nil
}

func (t *taker) list(name string) ([]fs.DirEntry, error) {
	dir, err := t.state.Open(name)
	if err != nil {
		return nil, err
	}
	entries, err := dir.ReadDir(-1)
	slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries, errors.Join(err, dir.Close())
}

func (t *taker) entry(ctx context.Context, name string) error {
	switch {
	case t.done[name] || isOurs(name):
		return nil
	case name == lostAndFound:
		t.leaveOut(name, "the file system's own")
		return nil
	}
	info, err := t.state.Lstat(name)
	if err != nil {
		return gone("look at", name, err)
	}
	switch info.Mode().Type() {
	case 0:
		return t.file(ctx, name)
	case fs.ModeDir:
		if err := t.out.Add(folderEntry(name, info), nil); err != nil {
			return err
		}
		return t.folder(ctx, name)
	case fs.ModeSymlink:
		return t.link(name)
	case fs.ModeSocket:
		t.leaveOut(name, "a socket")
	case fs.ModeNamedPipe:
		t.leaveOut(name, "a pipe")
	default:
		t.leaveOut(name, "a device")
	}
	return nil
}

func folderEntry(name string, info fs.FileInfo) archive.Entry {
	return archive.Entry{Path: archive.Name(name), Kind: archive.KindFolder, Mode: archive.Mode(info.Mode().Perm()), Modified: info.ModTime().UTC()}
}

func (t *taker) link(name string) error {
	target, err := t.state.Readlink(name)
	if err != nil {
		return gone("read link", name, err)
	}
	if !archive.StaysInside(name, target) {
		t.leaveOut(name, fmt.Sprintf("a link that leads out, to %q", target))
		return nil
	}
	return t.out.Add(archive.Entry{Path: archive.Name(name), Kind: archive.KindLink, Target: archive.Name(target)}, nil)
}

func (t *taker) leaveOut(name, why string) {
	t.out.Manifest.LeftOut = append(t.out.Manifest.LeftOut, archive.LeftOut{Path: archive.Name(name), Why: why})
}
